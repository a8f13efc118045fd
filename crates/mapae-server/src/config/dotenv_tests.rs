use super::*;

fn one(text: &str) -> Result<String, &'static str> {
    let mut entries = parse(text);
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0).value
}

#[test]
fn plain_values_are_taken_as_they_stand() {
    for (text, value) in [
        ("A=1", "1"),
        ("A = 1 ", "1"),
        ("export A=1", "1"),
        ("A=two words", "two words"),
        ("A=SECRET+FASTAPI\r\n", "SECRET+FASTAPI"),
        ("A=1321KDFA#kj!@sadzx1952@dv3#advSADf#!Wvdd1@#", "1321KDFA#kj!@sadzx1952@dv3#advSADf#!Wvdd1@#"),
        ("A=pa$$word", "pa$$word"),
        ("A=it's", "it's"),
        (r"A=back\slash", r"back\slash"),
        ("A=x # comment", "x"),
        ("A=# comment", ""),
        ("A=", ""),
        ("A=a=b", "a=b"),
        ("\u{feff}A=1", "1"),
    ] {
        assert_eq!(one(text).as_deref(), Ok(value), "{text}");
    }
}

#[test]
fn quotes_group_and_escape() {
    for (text, value) in [
        ("A='x # y'", "x # y"),
        ("A='${B}'", "${B}"),
        (r"A='it\'s \n'", r"it's \n"),
        (r#"A="a\nb\"c\\d" # comment"#, "a\nb\"c\\d"),
        ("A=\"first\nsecond\"", "first\nsecond"),
    ] {
        assert_eq!(one(text).as_deref(), Ok(value), "{text}");
    }
}

#[test]
fn values_that_cannot_be_read_say_why() {
    assert_eq!(one("A='open"), Err("has a quote that is not closed"));
    assert_eq!(one("A='a'b"), Err("has text after its closing quote"));
    assert_eq!(one("A=${B}"), Err(REFERENCE));
    assert_eq!(one("A=\"x${B}\""), Err(REFERENCE));
}

#[test]
fn other_programs_lines_do_not_hide_ours() {
    let text =
        "GREETING=don't\n\nBAD LINE\nPEM=\"-----\nSECRET_KEY=inside\n-----\"\nOPEN='x\nSECRET_KEY=ours\nLAST=can't\n";
    let ours: Vec<_> = parse(text).into_iter().filter(|entry| entry.name == "SECRET_KEY").collect();
    assert_eq!(ours.len(), 1);
    assert_eq!((ours[0].line, ours[0].value.as_deref()), (8, Ok("ours")));
}

#[test]
fn an_empty_value_does_not_swallow_the_next_line() {
    let values: Vec<_> = parse("A=\nB=2").into_iter().map(|entry| (entry.name, entry.value)).collect();
    assert_eq!(values, [("A".to_owned(), Ok(String::new())), ("B".to_owned(), Ok("2".to_owned()))]);
}
