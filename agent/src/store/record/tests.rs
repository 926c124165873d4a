use proptest::prelude::*;

use super::*;

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i64>().prop_map(|number| number as f64),
        (0..100_i32).prop_map(f64::from),
        (0..1_000_i32).prop_map(|number| f64::from(number) / 100.0),
        Just(-0.0),
    ]
}

prop_compose! {
    fn any_section()(
        collector in any::<u32>(),
        steps in prop::collection::vec(1..5_000_u32, 1..20),
        columns in prop::collection::vec((any::<u32>(), prop::collection::vec(prop::option::of(any_value()), 20)), 1..10),
    ) -> Section {
        let ticks: Vec<u32> = steps.iter().scan(0, |at, step| { *at += step; Some(*at) }).collect();
        let columns = columns.into_iter().map(|(series, values)| {
            let held: Vec<(u16, f64)> = (0..).zip(values).take(ticks.len())
                .filter_map(|(at, value)| Some((at, value?)))
                .collect();
            let (ticks, values) = held.into_iter().unzip();
            Column { series, ticks, values }
        });
        let columns = columns.filter(|column| !column.values.is_empty()).collect();
        Section { collector, ticks, columns }
    }
}

fn encode(sections: &[Section]) -> Option<(Header, Vec<u8>)> {
    let mut encoder = Encoder::default();
    for section in sections {
        encoder.section(section.collector, &section.ticks, section.columns.len());
        for column in &section.columns {
            let mut ticks = column.ticks.iter().copied();
            let is_dense = column.ticks.len() == section.ticks.len();
            let ticks = (!is_dense).then_some(&mut ticks as &mut dyn Iterator<Item = u16>);
            encoder.column(column.series, ticks, &column.values);
        }
    }
    encoder.finish()
}

/// NaN is equal to itself here.
fn bits(sections: &[Section]) -> Vec<u64> {
    let columns = sections.iter().flat_map(|section| &section.columns);
    columns
        .flat_map(|column| column.values.iter().map(|value| value.to_bits()))
        .collect()
}

fn shape(mut sections: Vec<Section>) -> Vec<Section> {
    for column in sections.iter_mut().flat_map(|section| &mut section.columns) {
        column.values.clear();
    }
    sections
}

proptest! {
    #[test]
    fn any_samples_come_back_bit_for_bit(sections in prop::collection::vec(any_section(), 1..4)) {
        let samples: usize = sections.iter().flat_map(|s| &s.columns).map(|c| c.values.len()).sum();
        let Some((header, body)) = encode(&sections) else {
            prop_assert_eq!(samples, 0);
            return Ok(());
        };
        prop_assert_eq!(header.samples as usize, samples);
        prop_assert_eq!(Some(header.first), sections.iter().map(|s| s.ticks[0]).min());
        prop_assert_eq!(Some(header.last), sections.iter().filter_map(|s| s.ticks.last().copied()).max());
        prop_assert!(header.check(&body).is_ok());
        let decoded = decode(&body).expect("it was just encoded");
        prop_assert_eq!(bits(&decoded), bits(&sections));
        prop_assert_eq!(shape(decoded), shape(sections));
    }

    #[test]
    fn any_bytes_are_an_error_or_a_value(
        raw in prop::collection::vec(any::<u8>(), 0..200),
        section in any_section(),
        cut in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
    ) {
        let _ = Header::decode(&raw);
        let _ = decode(&raw);
        // With a sound envelope, so that what is inside is reached.
        let _ = decode(&packed(&raw));
        if let Some((header, mut body)) = encode(&[section]) {
            let short = &body[..cut.index(body.len())];
            prop_assert!(header.check(short).is_err());
            let at = flip.index(body.len());
            body[at] ^= 1;
            prop_assert_eq!(header.check(&body), Err(DecodeError::Checksum));
            let _ = decode(&body);
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_frame_is_noticed() {
    let header = Header {
        kind: Kind::Run,
        epoch: 3,
        hour_ms: -3_600_000,
        body_bytes: 17,
        body_crc: 99,
        samples: 7,
        first: 1,
        last: 2,
        before: 3,
        previous_before: 4,
        previous: 1 << 40,
    };
    let bytes = header.encode();
    assert_eq!(Header::decode(&bytes), Ok(header));
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::decode(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn constants_and_counters_take_little() {
    let dense = |value: fn(u32) -> f64| {
        let column = |series| Column {
            series,
            ticks: (0..10).collect(),
            values: (0..10).map(|at| value(series * 10 + at)).collect(),
        };
        let section = Section {
            collector: 0,
            ticks: (0..10).map(|at| at * 1_000).collect(),
            columns: (0..1_000).map(column).collect(),
        };
        encode(&[section]).expect("it has samples").1.len()
    };
    assert!(dense(|_| 1.0) < 500);
    assert!(dense(|at| f64::from(at * 3)) < 10_000);
}

/// The body that unpacks to these bytes.
fn packed(raw: &[u8]) -> Vec<u8> {
    let len = u32::try_from(raw.len()).expect("short");
    let packed = zstd::bulk::compress(raw, ZSTD_LEVEL).expect("memory suffices");
    [len.to_le_bytes().as_slice(), &packed].concat()
}

/// A column of equal values takes 10 bytes, however many they are, and a section of none takes 3.
#[test]
fn a_few_bytes_do_not_ask_for_all_memory() {
    const LARGE: Option<DecodeError> = Some(DecodeError::Corrupt("it has too many samples"));
    let ticks = 60_000;
    let mut raw = vec![0];
    put_varint(&mut raw, ticks);
    raw.extend(std::iter::repeat_n(1, usize::try_from(ticks).expect("few")));
    put_varint(&mut raw, 1_000);
    raw.extend([2, SAME, 0, 0, 0, 0, 0, 0, 0, 0].repeat(1_000));
    assert_eq!(decode(&packed(&raw)).err(), LARGE);
    assert_eq!(decode(&packed(&[0, 0, 0].repeat(2 << 20))).err(), LARGE);
}

/// The most that a flush writes at once: 64 ticks of as many series as there can be.
#[test]
fn the_largest_record_comes_back() {
    let series = u32::try_from(crate::store::registry::SERIES_MAX).expect("few");
    let column = |series| Column {
        series,
        ticks: (0..64).collect(),
        values: (0..64).map(f64::from).collect(),
    };
    let section = Section {
        collector: 0,
        ticks: (0..64).collect(),
        columns: (0..series).map(column).collect(),
    };
    let (_, body) = encode(std::slice::from_ref(&section)).expect("it has samples");
    assert!(
        decode(&body) == Ok(vec![section]),
        "it is too long to be shown"
    );
}
