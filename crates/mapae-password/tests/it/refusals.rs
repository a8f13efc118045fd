//! Refusing costs nothing: no time, and not the memory that the hash asks for.

use std::time::{Duration, Instant};

use mapae_password::{Context, HashText, Workspace};

use crate::{Kind, password, rows};

/// Unoptimized on a busy machine; optimized it is under two microseconds.
const GENEROUS: Duration = Duration::from_micros(200);

#[expect(clippy::disallowed_methods, reason = "the time taken is what is tested")]
fn quickest_of_five(mut work: impl FnMut()) -> Duration {
    (0..5)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .unwrap()
}

#[test]
fn bad_rows_are_refused_at_once_and_without_memory() {
    let context = Context::default();
    let refused: Vec<_> = rows()
        .into_iter()
        .filter(|row| matches!(row.kind, Kind::Malformed | Kind::AbsurdCost | Kind::UnknownScheme))
        .collect();
    assert!(refused.len() > 50);
    for row in refused {
        let stored = HashText::new(row.hash.as_str());
        let password = password(&row.password);
        let mut workspace = Workspace::new();
        let allocated = allocation_counter::measure(|| {
            assert!(context.verify(&stored, &password, &mut workspace).is_err());
        });
        assert!(allocated.bytes_max <= 128, "{}: {} bytes", row.id, allocated.bytes_max);
        let taken = quickest_of_five(|| {
            assert!(context.verify(&stored, &password, &mut workspace).is_err());
        });
        println!("{taken:?} {}", row.id);
        assert!(taken < GENEROUS, "{}: {taken:?}", row.id);
        assert!(context.examine(&stored).is_err(), "{}", row.id);
    }
}

/// Costs of every scheme that nobody has, beyond those in the vectors.
#[test]
fn absurd_costs_are_refused_in_every_format() {
    let argon2 = "$c2FsdHNhbHRzYWx0c2FsdA$noNiBlbmU6iPzRYq2zYtUrsdN9ARPK3rjByMmBRPYZY";
    let thirty_two = "A".repeat(43);
    let sixty_four = "A".repeat(86);
    let hex = "0".repeat(128);
    let hashes = [
        format!("argon2$argon2id$v=19$m=2147483648,t=1,p=1{argon2}"),
        format!("$argon2d$v=19$m=8,t=4294967295,p=1{argon2}"),
        "$2y$31$3EMMLi8drKqW3A4TB2COr.ZDfQ1.jPV2zexvWhZDFccKHI/02B9FO".to_owned(),
        "bcrypt$$2b$31$3EMMLi8drKqW3A4TB2COr.ZDfQ1.jPV2zexvWhZDFccKHI/02B9FO".to_owned(),
        "$bcrypt-sha256$2a,31$lS4cTwraB/u1vkn74H8cnO$cqE0CyT6RR.v.Fw/L47Z8br8kbx6nOK".to_owned(),
        format!("$scrypt$ln=1,r=1,p=1073741823$AAAA${thirty_two}"),
        format!("scrypt$1073741824$salt$8$1${sixty_four}=="),
        format!("scrypt:2:1073741823:1$salt${hex}"),
        format!("$pbkdf2-sha256$i=1000000000$AAAA${thirty_two}"),
        format!("$pbkdf2-sha512$i=18446744073709551615,l=64$AAAA${sixty_four}"),
        format!("$keycloak-pbkdf2$i=4294967296,l=64$AAAA${sixty_four}"),
        format!("pbkdf2:sha512:18446744073709551615$salt${hex}"),
        format!("$fbscrypt$v=1,n=40,r=8,p=1,ss=Bw==,sk={sixty_four}==$AAAA${sixty_four}=="),
    ];
    for hash in hashes {
        let stored = HashText::new(hash.as_str());
        let (context, password) = (Context::default(), password("secret"));
        let taken = quickest_of_five(|| {
            let result = context.verify(&stored, &password, &mut Workspace::new());
            assert_eq!(result, Err(mapae_password::HashError::TooExpensive), "{hash}");
        });
        println!("{taken:?} {hash}");
        assert!(taken < GENEROUS, "{hash}: {taken:?}");
    }
}

/// What widespread libraries write by default must pass.
#[test]
fn usual_costs_are_accepted() {
    let argon2 = "$c2FsdHNhbHRzYWx0c2FsdA$noNiBlbmU6iPzRYq2zYtUrsdN9ARPK3rjByMmBRPYZY";
    let thirty_two = "A".repeat(43);
    let hashes = [
        // The tutorials, argon2-cffi, libsodium's "moderate", Django's.
        format!("$argon2id$v=19$m=65536,t=3,p=4{argon2}"),
        format!("$argon2id$v=19$m=262144,t=3,p=1{argon2}"),
        format!("argon2$argon2id$v=19$m=102400,t=2,p=8{argon2}"),
        "$2b$15$3EMMLi8drKqW3A4TB2COr.ZDfQ1.jPV2zexvWhZDFccKHI/02B9FO".to_owned(),
        format!("$scrypt$ln=17,r=8,p=1$AAAA${thirty_two}"),
        format!("pbkdf2_sha256$1500000$salt${thirty_two}="),
        format!("$5$rounds=535000$salt${}", ".".repeat(43)),
        format!("$6$rounds=656000$salt${}", ".".repeat(86)),
    ];
    for hash in hashes {
        let result = Context::default().examine(&HashText::new(hash.as_str()));
        assert!(result.is_ok(), "{hash}: {result:?}");
    }
}
