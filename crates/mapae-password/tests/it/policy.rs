//! Rules for new passwords.

use mapae_password::policy::{PasswordPolicy, PolicyError, PolicyViolation, Strength};

use crate::password;

fn violations(policy: &PasswordPolicy, text: &str) -> Vec<PolicyViolation> {
    match policy.check(&password(text), &[]) {
        Err(PolicyError::Broken(violations)) => violations,
        other => panic!("{text:?}: {other:?}"),
    }
}

fn codes(policy: &PasswordPolicy, text: &str, inputs: &[&str]) -> Vec<&'static str> {
    match policy.check(&password(text), inputs) {
        Ok(()) => Vec::new(),
        Err(PolicyError::Broken(violations)) => violations.iter().map(PolicyViolation::code).collect(),
        Err(error @ PolicyError::Unreadable(_)) => panic!("{error}"),
    }
}

#[test]
fn ordinary_good_passwords_pass() {
    let good = [
        "correct horse battery staple",
        "correcthorsebatterystaple",
        "tomato violin parking seven",
        "my dog eats purple socks",
        "x7Kq2mVbT9wz",
        "qWv8#nLp2$Rt",
        "kfjwoeixmnas",
        "안전한 비밀번호를 여기에 적습니다",
        "우리집 고양이는 생선을 싫어해",
        "🐎🔋📎✅🎻🍅🚲🌋",
        "   spaces around the words   ",
        "Tr0mbone-gard3n-lamp",
    ];
    for text in good {
        let seen = PasswordPolicy::default().check(&password(text), &["alice", "alice@example.com"]);
        assert!(seen.is_ok(), "{text:?}: {seen:?}");
    }
}

#[test]
fn bad_passwords_do_not() {
    let policy = PasswordPolicy::default();
    for text in [
        "12345678",
        "password",
        "password1",
        "Password1",
        "iloveyou",
        "sunshine",
        "qwertyuiop",
        "1qaz2wsx",
        "trustno1",
        "football",
    ] {
        assert_eq!(codes(&policy, text, &[]), ["too_common"], "{text:?}");
    }
    for text in [
        "11111111",
        "aaaaaaaaaaaaaaaa",
        "abcdefghijkl",
        "P@ssw0rd",
        "p@ssword1",
        "asdfghjkl;'",
        "19870402",
        "password2024",
    ] {
        assert_eq!(codes(&policy, text, &[]), ["too_guessable"], "{text:?}");
    }
}

#[test]
fn length_counts_characters_and_bytes() {
    let policy = PasswordPolicy::default();
    assert!(codes(&policy, "x7Kq2mV", &[]).contains(&"too_short"));
    assert!(!codes(&policy, "x7Kq2mVb", &[]).contains(&"too_short"));
    // Seven letters, however many bytes.
    assert!(codes(&policy, "안전한비밀번호", &[]).contains(&"too_short"));
    assert!(!codes(&policy, "안전한비밀번호다", &[]).contains(&"too_short"));

    let fifteen = PasswordPolicy { min_length: 15, ..policy.clone() };
    assert_eq!(codes(&fifteen, "x7Kq2mVbT9wz", &[]), ["too_short"]);
    assert_eq!(violations(&fifteen, "x7Kq2mVbT9wz")[0].to_string(), "Use at least 15 characters.");

    let narrow = PasswordPolicy { max_bytes: 72, ..policy.clone() };
    let of_72_bytes: String = (0..24).filter_map(|n| char::from_u32('가' as u32 + n * n * 13)).collect();
    assert_eq!(of_72_bytes.len(), 72);
    assert_eq!(codes(&narrow, &of_72_bytes, &[]), [""; 0]);
    assert_eq!(codes(&narrow, &format!("{of_72_bytes}x"), &[]), ["too_long"]);
    assert!(codes(&policy, &"x7Kq2mVbT9wzü".repeat(73), &[]).is_empty());
}

#[test]
fn the_own_name_is_no_password() {
    let policy = PasswordPolicy::default();
    let inputs = ["margarethe", "margarethe.huber@example.com", "Margarethe Huber"];
    for text in [
        "margarethe",
        "MARGARETHE",
        "Margarethe1",
        "margarethe.huber@example.com",
        "hubermargarethe",
        "Margarethe Huber",
    ] {
        let seen = codes(&policy, text, &inputs);
        assert!(seen.contains(&"contains_user_name"), "{text:?}: {seen:?}");
    }
    assert_eq!(codes(&policy, "margarethe tomato violin parking seven", &inputs), [""; 0]);
    // Short names are part of many words, and nobody's own name is common to all.
    assert_eq!(codes(&policy, "also tomato violin", &["al", "", "a b"]), [""; 0]);
    assert_eq!(codes(&policy, "tomato violin margarethe", &[]), [""; 0]);
}

#[test]
fn strength_is_a_setting() {
    let with = |min_strength| PasswordPolicy { min_strength, ..PasswordPolicy::default() };
    for min_strength in [None, Some(Strength::Fair), Some(Strength::Strong)] {
        let policy = with(min_strength);
        assert_eq!(codes(&policy, "password", &[]), ["too_common"]);
        assert_eq!(codes(&policy, "aaaaaaaaaaaaaaaa", &[]), ["too_guessable"]);
        assert_eq!(codes(&policy, "correct horse battery staple", &[]), [""; 0]);
    }
    let levels = [None, Some(Strength::Fair), Some(Strength::Safe), Some(Strength::Strong)];
    for (text, passes) in [("Berlin2024", 1), ("Summer2024!", 2), ("tomato violin", 3), ("tomato violin parking", 4)] {
        let seen = levels.map(|level| codes(&with(level), text, &[]).is_empty());
        let expected = [0, 1, 2, 3].map(|place| place < passes);
        assert_eq!(seen, expected, "{text:?}");
    }
}

#[test]
fn violations_are_sentences() {
    let seen = violations(&PasswordPolicy::default(), "aaaaaaa");
    let texts: Vec<String> = seen.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "Use at least 8 characters.",
            "This password is easy to guess. Repeats like \"aaa\" are easy to guess. \
             Add another word or two. Uncommon words are better. Avoid repeated words and characters.",
        ]
    );
    let mut all = vec![
        PolicyViolation::TooLong { max_bytes: 1_024 },
        PolicyViolation::TooCommon,
        PolicyViolation::ContainsUserName,
        PolicyViolation::Breached,
    ];
    all.extend(seen);
    for violation in all {
        assert!(violation.to_string().ends_with('.'));
        assert!(violation.code().bytes().all(|b| b == b'_' || b.is_ascii_lowercase()));
    }
}

#[test]
fn the_longest_password_is_judged_quickly() {
    #[expect(clippy::disallowed_methods, reason = "the time taken is what is tested")]
    let start = std::time::Instant::now();
    let hostile = ["abcabcabcabc1990", "qwertyqwerty!@#$", "passwordpassword", "1111111111111111"];
    let inputs: Vec<String> = (0..100).map(|n| format!("name{n} ").repeat(100)).collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    for part in hostile {
        let text: String = part.chars().cycle().take(1_024).collect();
        let _ = PasswordPolicy::default().check(&password(&text), &inputs);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
}

/// The list has few passwords of 15 characters; what people make of shorter ones is refused for its strength.
#[test]
fn with_15_characters_the_usual_ones_are_refused_too() {
    let policy = PasswordPolicy { min_length: 15, ..PasswordPolicy::default() };
    for text in [
        "123456789012345",
        "qwertyuiopasdfgh",
        "passwordpassword",
        "iloveyouiloveyou",
        "1q2w3e4r5t6y7u8i",
        "administrator123",
        "password12345678",
        "letmeinletmeinletmein",
        "zaq12wsxcde34rfv",
        "0123456789abcdef",
        "princessprincess",
        "christopher12345",
        "Summer2024Summer2024",
        "1qaz2wsx3edc4rfv",
    ] {
        let seen = codes(&policy, text, &[]);
        assert!(seen == ["too_guessable"] || seen == ["too_common"], "{text:?}: {seen:?}");
    }
    assert_eq!(codes(&policy, "tomato violin parking", &[]), [""; 0]);
}
