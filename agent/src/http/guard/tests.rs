//! One request a case: its headers, and what the guard says.

use super::*;

const HOST: (&str, &str) = ("host", "127.0.0.1:10132");

fn guard(listen: &str) -> Guard {
    let allowed = [
        "https://ops.example".to_owned(),
        "http://Localhost:3000".to_owned(),
    ];
    Guard::new(listen.parse().unwrap(), &allowed)
}

fn ask(guard: &Guard, target: &str, headers: &[(&'static str, &str)]) -> Result<Origin, Refusal> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    guard.check(&Method::GET, &target.parse().unwrap(), &map)
}

fn check(headers: &[(&'static str, &str)]) -> Result<Origin, Refusal> {
    ask(&guard("127.0.0.1:10132"), "/api/catalog", headers)
}

fn status(refusal: Refusal) -> u16 {
    Error::from(refusal).status.as_u16()
}

#[test]
fn our_names_are_taken_in_any_case() {
    for host in [
        "127.0.0.1:10132",
        "localhost:10132",
        "LocalHost:10132",
        "[::1]:10132",
    ] {
        assert_eq!(check(&[("host", host)]), Ok(Origin::Own), "{host}");
    }
}

#[test]
fn other_hosts_are_refused() {
    let hosts = [
        "evil.example:10132",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:80",
        "localhost:101320",
        "localhost.:10132",
        "127.0.0.1:10132.evil.example",
        "user@127.0.0.1:10132",
        "127.1:10132",
        "0.0.0.0:10132",
        "::1:10132",
        "",
    ];
    for host in hosts {
        let refusal = check(&[("host", host)]).unwrap_err();
        assert!(
            matches!(refusal, Refusal::ForeignHost { .. }),
            "{host}: {refusal}"
        );
        assert_eq!(status(refusal), 403);
    }
}

#[test]
fn a_host_is_needed_and_only_one() {
    let missing = check(&[]).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the request has no Host header; send `Host: 127.0.0.1:10132`"
    );
    assert_eq!(status(missing), 400);
    let twice = check(&[HOST, HOST]).unwrap_err();
    assert_eq!(
        (twice.clone(), status(twice)),
        (Refusal::Twice("Host"), 400)
    );
}

#[test]
fn the_target_may_not_name_another_host() {
    let guard = guard("127.0.0.1:10132");
    let foreign = ask(&guard, "http://evil.example:10132/", &[HOST]).unwrap_err();
    assert!(matches!(foreign, Refusal::ForeignHost { .. }), "{foreign}");
    assert_eq!(
        ask(&guard, "http://localhost:10132/", &[HOST]),
        Ok(Origin::Own)
    );
}

#[test]
fn the_address_that_was_configured_is_ours_too() {
    assert_eq!(
        ask(&guard("127.0.0.9:7"), "/", &[("host", "127.0.0.9:7")]),
        Ok(Origin::Own)
    );
    assert_eq!(
        ask(&guard("[::1]:7"), "/", &[("host", "[::1]:7")]),
        Ok(Origin::Own)
    );
    let port80 = guard("127.0.0.1:80");
    assert_eq!(
        ask(
            &port80,
            "/",
            &[("host", "localhost"), ("origin", "http://localhost")]
        ),
        Ok(Origin::Own)
    );
}

#[test]
fn origins() {
    for own in [
        "http://127.0.0.1:10132",
        "http://localhost:10132",
        "http://[::1]:10132",
    ] {
        assert_eq!(check(&[HOST, ("origin", own)]), Ok(Origin::Own), "{own}");
    }
    for foreign in [
        "http://evil.example",
        "https://127.0.0.1:10132",
        "http://localhost:3001",
        "null",
        "",
        "http://127.0.0.1:10132.evil.example",
        "http://127.0.0.1:10132/",
        "file://",
    ] {
        let refusal = check(&[HOST, ("origin", foreign)]).unwrap_err();
        assert_eq!(refusal, Refusal::ForeignOrigin(foreign.to_owned()));
        assert_eq!(status(refusal), 403);
    }
    let twice = check(&[
        HOST,
        ("origin", "http://localhost:10132"),
        ("origin", "null"),
    ]);
    assert_eq!(twice, Err(Refusal::Twice("Origin")));
}

#[test]
fn configured_origins_may_ask_across_sites() {
    for origin in ["https://ops.example", "http://localhost:3000"] {
        let taken = check(&[HOST, ("origin", origin), ("sec-fetch-site", "cross-site")]);
        assert_eq!(
            taken,
            Ok(Origin::Allowed(HeaderValue::from_str(origin).unwrap()))
        );
    }
    let near = check(&[HOST, ("origin", "https://ops.example.evil")]);
    assert!(matches!(near, Err(Refusal::ForeignOrigin(_))), "{near:?}");
}

#[test]
fn the_browser_tells_of_other_sites() {
    for own in ["same-origin", "none"] {
        assert_eq!(check(&[HOST, ("sec-fetch-site", own)]), Ok(Origin::Own));
    }
    for foreign in ["cross-site", "same-site", "", "None"] {
        let refusal = check(&[HOST, ("sec-fetch-site", foreign)]).unwrap_err();
        assert_eq!(
            (refusal.clone(), status(refusal)),
            (Refusal::ForeignSite, 403),
            "{foreign}"
        );
    }
    let mixed = [
        HOST,
        ("sec-fetch-site", "none"),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(check(&mixed), Err(Refusal::ForeignSite));
}

#[test]
fn a_link_may_open_the_page_and_nothing_else() {
    let guard = guard("127.0.0.1:10132");
    let visit = [
        HOST,
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    for page in ["/", "/dashboard", "/dashboard/"] {
        assert_eq!(ask(&guard, page, &visit), Ok(Origin::Own), "{page}");
    }
    for other in ["/metrics", "/api/catalog", "/ws", "/dashboard/assets/x.js"] {
        assert_eq!(
            ask(&guard, other, &visit),
            Err(Refusal::ForeignSite),
            "{other}"
        );
    }
    let framed = [visit[0], visit[1], visit[2], ("sec-fetch-dest", "iframe")];
    assert_eq!(
        ask(&guard, "/dashboard/", &framed),
        Err(Refusal::ForeignSite)
    );
    assert_eq!(
        ask(&guard, "/dashboard/", &visit[..3]),
        Err(Refusal::ForeignSite)
    );
}

#[test]
fn forwarded_requests_are_refused_and_told_why() {
    for name in [
        "forwarded",
        "x-real-ip",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-anything",
    ] {
        let refusal = check(&[HOST, (name, "10.0.0.1")]).unwrap_err();
        assert_eq!(refusal, Refusal::Forwarded(name.to_owned()));
        assert!(refusal.to_string().contains("connect to it directly"));
        assert_eq!(status(refusal), 403);
    }
}
