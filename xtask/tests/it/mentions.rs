//! Which paths (`a::b::c`) a Rust source names: in `use`, in expressions, in macros; comments and strings aside.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path, resolved as far as its own words tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// The line it starts in.
    pub(crate) line: usize,
    /// `crate`, `self` and `super` are followed: `["crate", "store", "Tx"]`. A glob ends in `*`.
    pub(crate) path: Vec<String>,
}

/// All paths of the source of the module `module` (`["http", "users"]`), single words included.
pub(crate) fn mentions(source: &str, module: &[&str]) -> Vec<Mention> {
    let module = module.iter().map(ToString::to_string).collect();
    let mut reader = Reader { module, found: Vec::new() };
    reader.read(source.parse().unwrap());
    reader.found
}

/// Words that stand before a path and are not of it: `use ::std::env`.
const NOT_IN_A_PATH: &[&str] = &[
    "as", "break", "const", "dyn", "else", "extern", "for", "if", "impl", "in", "match", "mut", "return", "use",
    "while",
];

struct Reader {
    /// The module that is being read, inline ones included.
    module: Vec<String>,
    found: Vec<Mention>,
}

impl Reader {
    fn read(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = &trees[..];
        while let Some((first, after)) = rest.split_first() {
            rest = match (first, after) {
                (TokenTree::Ident(word), [TokenTree::Ident(name), TokenTree::Group(body), after @ ..])
                    if word == "mod" =>
                {
                    self.module.push(name.to_string());
                    self.read(body.stream());
                    self.module.pop();
                    after
                }
                (TokenTree::Ident(word), _) if NOT_IN_A_PATH.iter().any(|keyword| word == keyword) => after,
                (TokenTree::Ident(_), _) => self.path(&[], rest),
                (TokenTree::Group(group), _) => {
                    self.read(group.stream());
                    after
                }
                _ => after,
            };
        }
    }

    /// Reads the path that `trees` starts with, and what follows it in braces; returns what comes after.
    fn path<'a>(&mut self, prefix: &[String], mut trees: &'a [TokenTree]) -> &'a [TokenTree] {
        let Some(first) = trees.first() else { return trees };
        let line = first.span().start().line;
        let mut path = prefix.to_vec();
        loop {
            match trees {
                [TokenTree::Ident(word), after @ ..] => {
                    path.push(word.to_string());
                    trees = after;
                }
                [TokenTree::Punct(star), after @ ..] if star.as_char() == '*' && !path.is_empty() => {
                    path.push("*".to_owned());
                    trees = after;
                    break;
                }
                [TokenTree::Group(group), after @ ..] if group.delimiter() == Delimiter::Brace && !path.is_empty() => {
                    self.list(&path, group);
                    return after;
                }
                _ => break,
            }
            match trees {
                [TokenTree::Punct(one), TokenTree::Punct(two), after @ ..]
                    if one.as_char() == ':' && two.as_char() == ':' =>
                {
                    trees = after;
                }
                _ => break,
            }
        }
        let path = self.resolved(path);
        self.found.push(Mention { line, path });
        trees
    }

    /// Reads the paths of `prefix::{…}`.
    fn list(&mut self, prefix: &[String], group: &Group) {
        let trees: Vec<TokenTree> = group.stream().into_iter().collect();
        for item in trees.split(|tree| matches!(tree, TokenTree::Punct(comma) if comma.as_char() == ',')) {
            self.path(prefix, item);
        }
    }

    fn resolved(&self, path: Vec<String>) -> Vec<String> {
        let supers = path.iter().take_while(|word| *word == "super").count();
        let own = usize::from(path.first().is_some_and(|word| word == "self"));
        if supers + own == 0 {
            return path;
        }
        let above = self.module.len().saturating_sub(supers);
        let module = self.module[..above].iter().cloned();
        let rest = path.into_iter().skip(supers + own);
        std::iter::once("crate".to_owned()).chain(module).chain(rest).collect()
    }
}

mod tests {
    use super::mentions;

    fn paths(source: &str) -> Vec<String> {
        mentions(source, &["http", "users"]).into_iter().map(|mention| mention.path.join("::")).collect()
    }

    fn names(source: &str, path: &str) -> bool {
        paths(source).iter().any(|found| found == path)
    }

    #[test]
    fn every_way_to_write_a_path() {
        for source in [
            "use crate::store::Tx;",
            "use crate::{Mapae, store::{self, Tx as T}};",
            "use super::super::store::Tx;",
            "fn f() { let _ = crate::store::Tx(); }",
            "fn f() { println!(\"{}\", crate::store::Tx); }",
            "mod tests { use super::super::super::store::Tx; }",
            "struct A { b: Vec<crate::store::Tx> }",
            "impl<T> From<T> for crate::store::Tx {}",
        ] {
            assert!(names(source, "crate::store::Tx"), "{source}: {:?}", paths(source));
        }
        assert!(names("use ::std::{fs, env};", "std::env"));
        assert!(names("use crate::*;", "crate::*"));
        assert!(names("use super::form;", "crate::http::form"));
        assert!(names("use self::inner::A;", "crate::http::users::inner::A"));
    }

    #[test]
    fn not_in_comments_and_strings() {
        let source =
            "//! See crate::store.\n/// And [`crate::store::Tx`].\nfn f() -> &'static str { \"crate::store::Tx\" }";
        assert!(paths(source).iter().all(|path| !path.contains("store")), "{:?}", paths(source));
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let found = mentions("\nuse a::{\n    b,\n    c,\n};\n", &[]);
        let lines: Vec<_> =
            found.iter().filter(|mention| mention.path.len() == 2).map(|mention| mention.line).collect();
        assert_eq!(lines, [3, 4]);
    }
}
