//! Arrows only point down: `http`, `pages` → `service` → `store` → `domain`; and the words that one layer alone may use.

use std::collections::HashMap;
use std::path::{Component, Path};

use crate::mentions::{Mention, mentions};
use crate::tree::{assert_none, sources};

/// The library whose layers these are.
const LIBRARY: &str = "crates/mapae/src";

/// Each module of the library with the others that it may name.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("book", &[]),
    ("domain", &[]),
    ("settings", &["domain"]),
    ("store", &["domain"]),
    ("service", &["store", "domain", "settings"]),
    ("pages", &["http", "service", "domain", "settings"]),
    ("http", &["pages", "service", "domain", "settings"]),
    ("testing", &["http", "service", "store", "domain", "settings"]),
];

/// A word that only some places may use.
struct Reserved {
    word: &'static [&'static str],
    /// Where it is looked for.
    below: &'static [&'static str],
    /// Where it may stand.
    except: &'static [&'static str],
    why: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved {
        word: &["sea_orm"],
        below: &["crates"],
        // Tests look at the database from outside.
        except: &["crates/mapae/src/store", "crates/mapae/tests", "crates/mapae-server/tests"],
        why: "the ORM is named only in the store",
    },
    Reserved {
        word: &["sea_orm_migration"],
        below: &["crates"],
        except: &["crates/mapae/src/store"],
        why: "the ORM is named only in the store",
    },
    Reserved {
        word: &["StatusCode"],
        below: &["crates/mapae/src"],
        except: &["crates/mapae/src/http", "crates/mapae/src/pages"],
        why: "status codes are the business of http and pages",
    },
    Reserved {
        word: &["std", "env"],
        below: &["crates"],
        // Benchmarks are programs of their own, with arguments; tests look for other programs.
        except: &["crates/mapae-server", "crates/mapae-verify/benches", "crates/mapae/tests"],
        why: "only the binary reads the environment",
    },
    Reserved {
        word: &["unsafe_code"],
        below: &["crates", "examples", "xtask"],
        except: &["crates/mapae-password/src/large_pages.rs"],
        why: "only the advice about memory is given without the compiler's checks",
    },
];

#[test]
fn layers_only_name_those_below() {
    let sources = sources(LIBRARY);
    let (_, root) = sources.iter().find(|(file, _)| file.ends_with("src/lib.rs")).unwrap();
    let reexports = reexports(root);
    let mut broken = Vec::new();
    for (file, source) in &sources {
        for (line, complaint) in upward(&module(file), source, &reexports) {
            broken.push(format!("{}:{line}: {complaint}", file.display()));
        }
    }
    assert_none("A layer names only layers below it:", broken);
}

#[test]
fn reserved_words_stay_where_they_belong() {
    let mut broken = Vec::new();
    for rule in RESERVED {
        for (file, source) in rule.below.iter().flat_map(|below| sources(below)) {
            if rule.except.iter().any(|except| file.starts_with(except)) {
                continue;
            }
            let hits = mentions(&source, &[]).into_iter().filter(|mention| names(mention, rule.word));
            broken.extend(hits.map(|hit| format!("{}:{}: {}", file.display(), hit.line, rule.why)));
        }
    }
    assert_none("These words belong elsewhere:", broken);
}

/// `crates/mapae/src/http/users.rs` is the module `http::users`.
fn module(file: &Path) -> Vec<String> {
    let inner = file.strip_prefix(LIBRARY).unwrap().with_extension("");
    let words = inner.components().map(|word| match word {
        Component::Normal(word) => word.to_string_lossy().into_owned(),
        other => panic!("{other:?} in {}", file.display()),
    });
    words.filter(|word| word != "mod" && word != "lib").collect()
}

/// What the root of the library passes on, with the layer it comes from: `crate::Mapae` is `crate::service::Mapae`.
fn reexports(root: &str) -> HashMap<String, String> {
    let paths = mentions(root, &[]).into_iter().map(|mention| mention.path);
    paths
        .filter_map(|path| match path.as_slice() {
            [layer, .., name] if name != layer && rule(layer).is_some() => Some((name.clone(), layer.clone())),
            _ => None,
        })
        .collect()
}

fn rule(layer: &str) -> Option<&'static [&'static str]> {
    MAY_NAME.iter().find(|(name, _)| *name == layer).map(|(_, allowed)| *allowed)
}

/// Names of layers that this module must not know, with their lines.
fn upward(module: &[String], source: &str, reexports: &HashMap<String, String>) -> Vec<(usize, String)> {
    // The root of the library puts the layers together.
    let Some(layer) = module.first() else { return Vec::new() };
    let Some(allowed) = rule(layer) else {
        return vec![(1, format!("{layer} has no rule yet: say in MAY_NAME what it may name"))];
    };
    let module: Vec<&str> = module.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for mention in mentions(source, &module) {
        let [krate, first, ..] = mention.path.as_slice() else { continue };
        if krate != "crate" {
            continue;
        }
        let named = if first == "*" { "everything" } else { reexports.get(first).unwrap_or(first) };
        let is_layer = rule(named).is_some() || first == "*";
        if is_layer && named != layer && !allowed.contains(&named) {
            found.push((mention.line, format!("{layer} must not name {named} ({})", mention.path.join("::"))));
        }
    }
    found
}

fn names(mention: &Mention, word: &[&str]) -> bool {
    mention.path.windows(word.len()).any(|part| part == word)
}

mod tests {
    use super::{Reserved, names, reexports, upward};
    use crate::mentions::mentions;

    fn complaints(module: &[&str], source: &str) -> usize {
        let module: Vec<String> = module.iter().map(ToString::to_string).collect();
        let root = "pub mod http; pub mod service; pub use domain::{DeclaredScope, ScopeSet}; pub use service::Mapae;";
        upward(&module, source, &reexports(root)).len()
    }

    #[test]
    fn arrows_that_point_up_are_found() {
        assert_eq!(complaints(&["store", "users"], "use crate::service::tokens;"), 1);
        assert_eq!(complaints(&["store", "users"], "use super::super::http;"), 1);
        assert_eq!(complaints(&["store", "users"], "use crate::Mapae;"), 1, "the root passes it on from the service");
        assert_eq!(complaints(&["domain"], "use crate::{store::Tx, settings::Settings};"), 2);
        assert_eq!(complaints(&["domain"], "use crate::*;"), 1);
        assert_eq!(complaints(&["http", "token"], "fn f(_: crate::store::Tx) {}"), 1, "no layer is skipped");
        assert_eq!(complaints(&["unheard"], ""), 1);
    }

    #[test]
    fn arrows_that_point_down_are_fine() {
        assert_eq!(complaints(&["store", "users"], "use crate::domain::User; use super::{Tx, entity::user};"), 0);
        assert_eq!(complaints(&["store"], "pub(crate) fn f() { self::inner::g() } use crate::ScopeSet;"), 0);
        assert_eq!(complaints(&["http"], "use crate::{Mapae, VERSION}; use crate::service::Principal;"), 0);
    }

    #[test]
    fn reserved_words_are_found() {
        let found = |source: &str, word: &[&str]| mentions(source, &[]).iter().any(|mention| names(mention, word));
        for Reserved { word, .. } in super::RESERVED {
            let path = word.join("::");
            assert!(found(&format!("use {path};"), word));
            assert!(found(&format!("fn f() {{ {path}::g() }}"), word));
            assert!(!found(&format!("// {path}\nfn f() {{}}"), word));
        }
        assert!(found("use axum::http::{HeaderMap, StatusCode as Code};", &["StatusCode"]));
        assert!(found("extern crate sea_orm as orm;", &["sea_orm"]));
        assert!(!found("use sea_orm_migration::prelude;", &["sea_orm"]));
    }
}
