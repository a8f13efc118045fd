use std::io::Write;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;

fn file(content: impl AsRef<[u8]>) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.as_ref()).unwrap();
    file
}

fn open(content: impl AsRef<[u8]>) -> Result<(NamedTempFile, BreachedPasswordFile), BreachedFileError> {
    let file = file(content);
    let list = BreachedPasswordFile::open(file.path())?;
    Ok((file, list))
}

fn line(sha1: &Sha1, count: Option<u64>, end: &str) -> String {
    let hex: String = sha1.iter().map(|byte| format!("{byte:02X}")).collect();
    let count = count.map(|count| format!(":{count}")).unwrap_or_default();
    format!("{hex}{count}{end}")
}

/// SHA-1s in order that differ in their first bytes and in their last.
fn some(count: u32) -> Vec<Sha1> {
    (0..count)
        .map(|number| {
            let mut sha1 = [7; 20];
            sha1[..4].copy_from_slice(&(number / 3 * 1_000).to_be_bytes());
            sha1[19] = u8::try_from(number % 3 * 2).unwrap();
            sha1
        })
        .collect()
}

fn check_all(listed: &[Sha1], list: &BreachedPasswordFile) {
    for sha1 in listed {
        assert!(list.contains(sha1).unwrap(), "{sha1:?}");
        let mut near = *sha1;
        near[19] += 1;
        assert!(!list.contains(&near).unwrap(), "{near:?}");
    }
    for absent in [[0; 20], [0xff; 20], [0x80; 20]] {
        assert!(!list.contains(&absent).unwrap());
    }
}

#[test]
fn every_line_of_a_file_is_found_and_nothing_else() {
    for count in [1, 2, 60, 90, 100, 200, 600] {
        let listed = some(count);
        for end in ["\n", "\r\n"] {
            for counted in [true, false] {
                let lines: String = listed
                    .iter()
                    .zip(1..)
                    .map(|(sha1, number)| line(sha1, counted.then_some(number * number), end))
                    .collect();
                let (_file, list) = open(&lines).unwrap();
                check_all(&listed, &list);
                let (_file, list) = open(lines.trim_end()).unwrap();
                check_all(&listed, &list);
            }
        }
    }
}

#[test]
fn lower_case_is_read_as_well() {
    let listed = some(500);
    let lines: String = listed.iter().map(|sha1| line(sha1, Some(3), "\n").to_lowercase()).collect();
    let (_file, list) = open(lines).unwrap();
    check_all(&listed, &list);
}

#[test]
fn other_files_are_refused_with_the_reason() {
    let lines = |listed: &[Sha1]| listed.iter().map(|sha1| line(sha1, Some(1), "\n")).collect::<String>();
    let sorted = some(1_000);
    let mut reversed = sorted.clone();
    reversed.reverse();
    let mut shuffled = sorted.clone();
    shuffled.sort_by_key(|sha1| sha1[3].wrapping_mul(101));
    let mut by_count = sorted.clone();
    by_count.rotate_left(400);
    let cases = [
        (String::new(), "is empty"),
        ("\n".to_owned(), "has no SHA-1"),
        ("password\n123456\n".to_owned(), "has no SHA-1 in hexadecimal at the beginning of the line at byte 0"),
        ("x".repeat(100_000), "has no SHA-1"),
        ("8846F7EAEE8FB117AD06BDD830B7586C:5\n".repeat(300), "holds NTLM hashes"),
        (lines(&sorted).replace(':', " "), "has no SHA-1"),
        (lines(&sorted)[1..].to_owned(), "has no SHA-1"),
        ("ü".repeat(9_000), "has no SHA-1"),
        (lines(&reversed), "is not sorted by hash"),
        (lines(&shuffled), "is not sorted by hash"),
        (lines(&by_count), "is not sorted by hash"),
        (lines(&[sorted[4], sorted[3]]), "is not sorted by hash"),
        (line(&sorted[0], None, "\n").repeat(2), "is not sorted by hash"),
    ];
    for (content, expected) in cases {
        let error = open(&content).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} instead of {expected:?}");
    }
    let gone = BreachedPasswordFile::open("/nowhere/at/all").unwrap_err().to_string();
    assert!(gone.starts_with("cannot be read: "), "{gone}");
    let folder = tempfile::tempdir().unwrap();
    assert!(BreachedPasswordFile::open(folder.path()).is_err());
}

#[test]
fn another_file_may_take_its_place() {
    let (first, second) = (some(10), some(4_000));
    let lines = |listed: &[Sha1]| listed.iter().map(|sha1| line(sha1, Some(1), "\n")).collect::<String>();
    let (old, list) = open(lines(&first)).unwrap();
    assert!(!list.contains(&second[3_999]).unwrap());
    let new = file(lines(&second));
    std::fs::rename(new.path(), old.path()).unwrap();
    assert!(list.contains(&second[3_999]).unwrap());
    std::fs::remove_file(old.path()).unwrap();
    assert!(matches!(list.contains(&second[0]), Err(BreachedFileError::Unreadable(_))));
}

/// As large as the real one, in which holes read as what is no line: only the blocks that a search needs are read.
#[test]
fn a_file_of_many_gigabytes_is_not_read_through() {
    let mut sparse = NamedTempFile::new().unwrap();
    let first = line(&[0; 20], Some(1), "\n");
    sparse.write_all(first.as_bytes()).unwrap();
    sparse.as_file().set_len(40_000_000_000).unwrap();
    let error = BreachedPasswordFile::open(sparse.path()).unwrap_err();
    assert!(matches!(error, BreachedFileError::NotSha1 { at: 20_000_000_000 }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_search_agrees_with_a_set(
        listed in prop::collection::btree_set(any::<Sha1>(), 1..400),
        counts in prop::collection::vec(any::<u64>(), 400),
        absent in any::<Sha1>(),
    ) {
        let lines: String = listed.iter().zip(counts).map(|(sha1, count)| line(sha1, Some(count), "\r\n")).collect();
        let (_file, list) = open(lines).unwrap();
        for sha1 in &listed {
            prop_assert!(list.contains(sha1).unwrap());
        }
        prop_assert_eq!(list.contains(&absent).unwrap(), listed.contains(&absent));
    }

    #[test]
    fn no_file_makes_it_panic(content in prop::collection::vec(any::<u8>(), 0..9_000)) {
        let _ = open(content);
    }
}
