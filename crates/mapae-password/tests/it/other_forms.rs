//! Forms that the vectors do not have.

use mapae_password::{Context, Format, HashError, HashText, Workspace};

use crate::password;

/// Format, what made it, and the hash.
pub(crate) type Made = (Format, &'static str, &'static str);

const ARGON2: &str = "argon2-cffi 25.1.0";
const BCRYPT: &str = "bcrypt 4.3.0";
const GLIBC: &str = "glibc's crypt(3)";
const HASHLIB: &str = "Python's hashlib";
const PASSLIB: &str = "passlib 1.7.4";
const WERKZEUG: &str = "Werkzeug 3.1";

/// Of "비밀번호".
pub(crate) const KOREAN: &[Made] = &[
    (
        Format::Argon2d,
        ARGON2,
        "$argon2d$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$gtzm6Y7V8IKtadxjiDuzC0BwRGW/FLkn5CdQLp5l65w",
    ),
    (
        Format::Argon2i,
        ARGON2,
        "$argon2i$v=16$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$NWBD9zi3w6WuOegEf6OiLP9/x3CLodRSJNv0JoPRCAM",
    ),
    // Without a version it is the first.
    (
        Format::Argon2i,
        ARGON2,
        "$argon2i$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$NWBD9zi3w6WuOegEf6OiLP9/x3CLodRSJNv0JoPRCAM",
    ),
    (
        Format::DjangoArgon2,
        ARGON2,
        "argon2$argon2d$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$gtzm6Y7V8IKtadxjiDuzC0BwRGW/FLkn5CdQLp5l65w",
    ),
    (Format::Argon2id, ARGON2, "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHRzYWx0c2FsdA$9EVvEBLd0JbWYrGxY9WxYg"),
    (
        Format::Argon2id,
        ARGON2,
        "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHRzYWx0c2FsdA$IuW3a//19W4USwL4t91DqsWXe1niOGjr/a8sKrZlxgyuqD6iZ5aPB6NoHY4/6ckGWzGzWNdnbYGGunHz7ltOzw",
    ),
    (Format::Bcrypt2b, BCRYPT, "$2b$04$CCCCCCCCCCCCCCCCCCCCC.xphlDm794vdDDupE5t.fJsQsu2OPgh."),
    // The same with rubbish in the bits that mean nothing.
    (Format::Bcrypt2b, BCRYPT, "$2b$04$CCCCCCCCCCCCCCCCCCCCC/xphlDm794vdDDupE5t.fJsQsu2OPgh/"),
    (
        Format::PasslibBcryptSha256V1,
        PASSLIB,
        "$bcrypt-sha256$2a,4$NOtDyjOpdEl0hVBktA.j5e$30M5gnSSZTwci7LbbuWRke3ipHSHtGG",
    ),
    (
        Format::Scrypt,
        HASHLIB,
        "$scrypt$ln=5,r=2,p=3$YSBzYWx0IG9mIDE3IGJ5dGU$deDRnMJ+vn4p2zbxGG9YBRTqJiEHiK80XOxC2wh+tNk",
    ),
    (Format::Pbkdf2Sha1, HASHLIB, "$pbkdf2-sha1$i=1000,l=20$MDEyMzQ1Njc4OWFiY2RlZg$RNsyY1q2IhFug8NU3g6TfspMROg"),
    (
        Format::Pbkdf2Sha256,
        HASHLIB,
        "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$wY9cNT2GOutd3890EWdJcMNfrd9ifYB98TTtrO3faNs",
    ),
    (
        Format::Pbkdf2Sha256,
        HASHLIB,
        "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$wY9cNT2GOutd3890EWdJcMNfrd9ifYB98TTtrO3faNs",
    ),
    (
        Format::Pbkdf2Sha512,
        HASHLIB,
        "$pbkdf2-sha512$i=1000,l=64$MDEyMzQ1Njc4OWFiY2RlZg$qomfG7EghQ5g+OYu6eGWPKP77A0kkKBo0Tv5BzR6SR/npkP1bwhMyDhKbzUmXYuKr1wxBQExxcHpDose4cFeCA",
    ),
    // RustCrypto takes 32 bytes of SHA-512.
    (
        Format::Pbkdf2Sha512,
        HASHLIB,
        "$pbkdf2-sha512$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$qomfG7EghQ5g+OYu6eGWPKP77A0kkKBo0Tv5BzR6SR8",
    ),
    (Format::WerkzeugPbkdf2Sha1, WERKZEUG, "pbkdf2:sha1:500$NFTHTyIfYgYi3CPP$2ffda6dd6e66c747f754bb973cae70790cbea348"),
    (
        Format::WerkzeugPbkdf2Sha512,
        WERKZEUG,
        "pbkdf2:sha512:500$GuJN1nDNnfxTxUQb$8a564cd7e3e504de28cae0b4195e50ddbbb4f6dee6608fe02a03711a481fb4f93f44342ef457ea1860b9554fcea2f632eb623da210fc528e34bc040c87779fe2",
    ),
];

/// Of "Hello world!".
pub(crate) const HELLO: &[Made] = &[
    (Format::Sha256Crypt, GLIBC, "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    (Format::Sha256Crypt, GLIBC, "$5$rounds=1000$saltstringsaltst$cSv7nWzgUjd5.cVg4yn64CGOTkcQl1wXTNvW1OSLbZ0"),
    (
        Format::Sha512Crypt,
        GLIBC,
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
    (
        Format::Sha512Crypt,
        GLIBC,
        "$6$rounds=1000$$.iDmP65p8twH4xRklgLM6b3KeMLRiE5OWGUiqIhHf/NGBlIiq.8G4dF5pUKl4NZyp6LUp47BEfZtAmJZfmV07/",
    ),
];

fn matches(stored: &str, text: &str) -> Result<bool, HashError> {
    Context::default().verify(&HashText::new(stored), &password(text), &mut Workspace::new()).map(|seen| seen.matches)
}

#[test]
fn they_verify() {
    for (rows, right) in [(KOREAN, "비밀번호"), (HELLO, "Hello world!")] {
        for (format, _, stored) in rows {
            let examined = Context::default().examine(&HashText::new(*stored));
            assert_eq!(examined, Ok(*format), "{stored}");
            assert_eq!(matches(stored, right), Ok(true), "{stored}");
            assert_eq!(matches(stored, "another"), Ok(false), "{stored}");
        }
    }
    let long =
        "$6$rounds=1000$salt$L/U4YdKhAAdp.nWVmNWLVyqq0urT6ZwgLOkkM83Fix3aagGKvYaa0YbcXmEryur6hr8Fmhc1YgEus4uNLRJ3z1";
    assert_eq!(matches(long, &"x".repeat(200)), Ok(true));
    assert_eq!(matches(long, &"x".repeat(199)), Ok(false));
}

/// Well-formed but for one thing.
#[test]
fn near_misses_are_malformed() {
    let digest = "wY9cNT2GOutd3890EWdJcMNfrd9ifYB98TTtrO3faNs";
    let half = "qomfG7EghQ5g+OYu6eGWPKP77A0kkKBo0Tv5BzR6SR8";
    let misses = [
        // A length that is not the digest's, no usual one, or half of the function's own without saying so.
        format!("$pbkdf2-sha256$i=1000,l=64$MDEyMzQ1Njc4OWFiY2RlZg${digest}"),
        "$pbkdf2-sha256$i=1000,l=16$MDEyMzQ1Njc4OWFiY2RlZg$wY9cNT2GOutd3890EWdJcA".to_owned(),
        "$pbkdf2-sha256$i=1000,l=0$MDEyMzQ1Njc4OWFiY2RlZg$".to_owned(),
        format!("$pbkdf2-sha512$i=1000$MDEyMzQ1Njc4OWFiY2RlZg${half}"),
        format!("$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg${half}"),
        format!("$pbkdf2-sha256$i=1000,l=32,x=1$MDEyMzQ1Njc4OWFiY2RlZg${digest}"),
        format!("$pbkdf2-sha256$i=0,l=32$MDEyMzQ1Njc4OWFiY2RlZg${digest}"),
        // The alphabet of another library.
        "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$+Y9cNT2GOutd3890EWdJcMNfrd9ifYB98TTtrO3faNs".to_owned(),
        format!("pbkdf2_sha256$1000$salt${digest}"),
        "$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHRzYWx0c2FsdA$9EVvEBLd0JbWYrGxY9WxYg==".to_owned(),
        "$argon2id$v=19$t=1,m=64,p=2$c2FsdHNhbHRzYWx0c2FsdA$9EVvEBLd0JbWYrGxY9WxYg".to_owned(),
        "$argon2id$v=19$m=64,t=1,p=2,data=AAAA$c2FsdHNhbHRzYWx0c2FsdA$9EVvEBLd0JbWYrGxY9WxYg".to_owned(),
        "argon2$argon2x$v=19$m=64,t=1,p=2$c2FsdHNhbHRzYWx0c2FsdA$9EVvEBLd0JbWYrGxY9WxYg".to_owned(),
        "argon2$$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHRzYWx0c2FsdA$9EVvEBLd0JbWYrGxY9WxYg".to_owned(),
        "bcrypt$2b$04$CCCCCCCCCCCCCCCCCCCCC.xphlDm794vdDDupE5t.fJsQsu2OPgh.".to_owned(),
        "bcrypt$$2x$04$CCCCCCCCCCCCCCCCCCCCC.xphlDm794vdDDupE5t.fJsQsu2OPgh.".to_owned(),
        "$2b$+4$CCCCCCCCCCCCCCCCCCCCC.xphlDm794vdDDupE5t.fJsQsu2OPgh.".to_owned(),
        "$2b$04$가가가가가가가가가가가가가가가가가가".to_owned(),
        "$bcrypt-sha256$v=3,t=2b,r=4$NOtDyjOpdEl0hVBktA.j5e$30M5gnSSZTwci7LbbuWRke3ipHSHtGG".to_owned(),
        "$bcrypt-sha256$v=2,t=2b,r=04$NOtDyjOpdEl0hVBktA.j5e$30M5gnSSZTwci7LbbuWRke3ipHSHtGG".to_owned(),
        "$5$rounds=999$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5".to_owned(),
        "$5$rounds=01000$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5".to_owned(),
        "$5$saltstringsaltstr$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5".to_owned(),
        "$5$salt:string$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5".to_owned(),
        "pbkdf2:sha256$salt$c18f5c353d863aeb5ddfcf7411674970c35faddf627d807df134edaceddf68db".to_owned(),
        "pbkdf2:md5:1000$salt$c18f5c353d863aeb5ddfcf7411674970".to_owned(),
        format!("scrypt:1024:8:1$salt${}", "0".repeat(126)),
        format!("scrypt$1023$salt$8$1${}==", "A".repeat(86)),
        format!("$scrypt$ln=5,r=2,p=536870912$AAAA${digest}"),
    ];
    for stored in misses {
        assert_eq!(matches(&stored, "비밀번호"), Err(HashError::Malformed), "{stored}");
    }
}
