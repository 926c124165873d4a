use std::process::ExitCode;
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|a| a == "plugin-host") {
        return barograph::collect::host::run();
    }
    let settings = barograph::collect::Settings {
        name: args[1].clone(), plugin: args[1].clone(), library: args[2].clone().into(),
        config: serde_json::json!({}), interval: std::time::Duration::from_secs(1),
        timeout: std::time::Duration::from_millis(800), series_max: 2000, labelled: false };
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match rt.block_on(barograph::collect::run_once(&settings, 2)) {
        Ok(batches) => { for b in batches { println!("{} {:?} {}", b.tick, b.took, b.samples.len()); for s in b.samples.iter().take(400) { println!("{} {:?} {}", s.metric, s.labels, s.value); } } ExitCode::SUCCESS }
        Err(e) => { eprintln!("{e}"); ExitCode::FAILURE }
    }
}
