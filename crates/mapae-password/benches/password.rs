//! What a password costs: Argon2 with its memory kept and without, reading stored hashes, and each format at its usual
//! cost.
//!
//! `cargo bench -p mapae-password` measures everything, `cargo bench -p mapae-password -- argon2` what has that in its name.
#![expect(clippy::unwrap_used, reason = "a failure is to stop the measurement")]

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use mapae_password::firebase::FirebaseParams;
use mapae_password::{Argon2Params, Context, Format, HashText, Password, Workspace};

const WARM_UP: Duration = Duration::from_millis(300);
const MEASUREMENT: Duration = Duration::from_secs(1);
/// The fewest that Criterion takes: a hash lasts up to a second.
const SAMPLES: usize = 10;
const SALT: [u8; 16] = [7; 16];

fn password() -> Password {
    Password::new("a tablet for nine post horses").unwrap()
}

/// What OWASP recommends, and RFC 9106's second recommendation, whose memory is three times as much.
fn argon2(criterion: &mut Criterion) {
    let rfc9106 = Argon2Params::new(64 * 1024, 3, 4).unwrap();
    for (name, params) in [("m=19456,t=2,p=1", Argon2Params::default()), ("m=65536,t=3,p=4", rfc9106)] {
        let context = Context { argon2: params, ..Context::default() };
        let mut group = criterion.benchmark_group(format!("argon2id {name}"));
        group.bench_function("memory kept", |bencher| {
            let mut workspace = Workspace::new();
            bencher.iter(|| context.hash(black_box(&password()), &SALT, &mut workspace).unwrap());
        });
        group.bench_function("new memory", |bencher| {
            bencher.iter(|| context.hash(black_box(&password()), &SALT, &mut Workspace::new()).unwrap());
        });
        group.finish();
    }
}

/// The context that writes a format, as it comes.
fn writing(format: Format) -> Context {
    let mut context = Context::writing(format);
    // No hash of Firebase can be made without a project's key.
    let signer_key = "c2lnbmVyIGtleSBmb3IgYmVuY2htYXJrcywgMzIgYnl0ZXM=";
    context.costs.firebase = Some(FirebaseParams::new(signer_key, "Bw==", 8, 14).unwrap());
    context
}

fn formats(criterion: &mut Criterion) {
    let stored: Vec<(Format, HashText)> = {
        let mut workspace = Workspace::new();
        Format::all()
            .iter()
            .map(|format| (*format, writing(*format).hash(&password(), &SALT, &mut workspace).unwrap()))
            .collect()
    };
    let context = writing(Format::Argon2id);

    let mut group = criterion.benchmark_group("read a stored hash");
    for (format, hash) in &stored {
        group.bench_function(format.name(), |bencher| bencher.iter(|| context.examine(black_box(hash)).unwrap()));
    }
    group.finish();

    let mut group = criterion.benchmark_group("check a password");
    for (format, hash) in &stored {
        group.bench_function(format.name(), |bencher| {
            let mut workspace = Workspace::new();
            let right = password();
            bencher.iter(|| assert!(context.verify_as_typed(black_box(hash), &right, &mut workspace).unwrap().matches));
        });
    }
    group.finish();
}

fn main() {
    let criterion = Criterion::default().without_plots().sample_size(SAMPLES);
    let mut criterion = criterion.warm_up_time(WARM_UP).measurement_time(MEASUREMENT).configure_from_args();
    argon2(&mut criterion);
    formats(&mut criterion);
    criterion.final_summary();
}
