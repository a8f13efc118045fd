//! `mapae token …`

use std::io::{Read, Write};
use std::path::Path;

use mapae::Mapae;
use mapae::service::{AuthenticateError, Bearer, By};
use mapae_verify::inspect::{self, Decoded, Expected};
use mapae_verify::{Algorithm, Jwk, JwkSet, KeyError, KeySet, VerificationKey, VerifierBuilder, VerifyError};
use serde_json::json;

use super::user::{find, name_of, parse_scopes};
use super::{Failure, minted, print, print_json, sentence};
use crate::cli::{TokenInspect, TokenMint};
use crate::config::{Config, read_secret, reason};
use crate::service::attach;

/// Prints a token. `guessed` says that nobody has set the base URL, so that a server may have another.
pub(super) async fn mint(mapae: &Mapae, by: By<'_>, arguments: TokenMint, guessed: bool) -> Result<(), Failure> {
    let user = find(mapae, &arguments.user).await?;
    let requested = parse_scopes(&arguments.scopes)?;
    mapae.settings().scopes.check(&requested).map_err(sentence)?;
    let missing = requested.difference(&user.scopes);
    if !missing.is_empty() {
        let name = name_of(&user);
        return Err(Failure::command(format!(
            "{name} does not hold {missing}: `mapae user grant {name} {missing}` first."
        )));
    }
    if minted::is_asked_for(&arguments) {
        warn_of_issuer(mapae, guessed);
        return minted::mint(mapae, &user, by, requested, arguments).await;
    }
    let token = mapae.mint(&user.id, &requested, by).await.map_err(sentence)?;
    warn_of_issuer(mapae, guessed);
    if arguments.output.json {
        return print_json(&json!({
            "access_token": token.access_token.expose(),
            "token_type": "bearer",
            "expires_in": token.expires_in,
            "scope": token.scope.to_string(),
        }));
    }
    print(&format!("{}\n", token.access_token.expose()))
}

fn warn_of_issuer(mapae: &Mapae, guessed: bool) {
    if guessed {
        let issuer = &mapae.settings().base_url;
        // Without standard error nobody would read it.
        let _ = writeln!(
            std::io::stderr(),
            "mapae: The token names {issuer} as its issuer, since base_url is not set; a server with another base_url \
             refuses it. Set MAPAE_BASE_URL as there."
        );
    }
}

/// Whether the token is to be believed, in words.
struct Verdict {
    /// `None` when there was nothing to check with.
    valid: Option<bool>,
    words: String,
}

/// Decodes and checks. A configuration that is not in order only matters where the server's keys are asked for.
pub(super) async fn inspect(config: Result<Config, Vec<String>>, arguments: TokenInspect) -> Result<(), Failure> {
    let token = match arguments.token.as_deref() {
        Some(token) if token != "-" => token.to_owned(),
        _ => from_stdin()?,
    };
    let token = bare(&token);
    let decoded = inspect::decode(token).map_err(|error| Failure::command(format!("This cannot be read: {error}.")))?;
    let verdict = match &arguments.key_file {
        Some(path) => against_key(token, &decoded, path, &arguments)?,
        None => against_server(token, &decoded, config).await?,
    };
    if arguments.output.json {
        print_json(&json!({
            "header": decoded.header,
            "claims": decoded.claims,
            "valid": verdict.valid,
            "verdict": verdict.words,
        }))?;
    } else {
        print(&visible(&format!("Header  {:#}\nClaims  {:#}\n\n{}\n", decoded.header, decoded.claims, verdict.words)))?;
    }
    if verdict.valid == Some(true) { Ok(()) } else { Err(Failure::Silent) }
}

/// Checks with the live keys, and whether session and account still count.
async fn against_server(
    token: &str,
    decoded: &Decoded,
    config: Result<Config, Vec<String>>,
) -> Result<Verdict, Failure> {
    let mapae = match config {
        Ok(config) => attach(&config).await,
        Err(problems) => Err(Failure::Configuration(problems)),
    };
    let mapae = match mapae {
        Ok(mapae) => mapae,
        Err(Failure::Command(sentence)) => return Ok(unchecked(&sentence)),
        Err(Failure::Configuration(sentences)) => return Ok(unchecked(&sentences.join(" "))),
        Err(other @ (Failure::Silent | Failure::OutputClosed)) => return Err(other),
    };
    let refused = |words: String| Ok(Verdict { valid: Some(false), words: format!("Refused. {words}") });
    let authenticated = mapae.authenticate_bearer(token).await;
    mapae.store().close().await;
    match authenticated {
        Ok(bearer) => {
            let whom = match &bearer {
                Bearer::User(principal) => format!("the active account {}", name_of(&principal.user)),
                Bearer::Thing(thing) => {
                    format!("{}; the active account {} answers for it", thing.claims.sub, name_of(&thing.grantor))
                }
                Bearer::Client { client, .. } => format!("the client {}", client.client.id),
            };
            Ok(Verdict { valid: Some(true), words: format!("Valid: signed by this server, for {whom}.") })
        }
        Err(AuthenticateError::Token(error)) => {
            refused(inspect::explain(&error, decoded, &mapae.verifier().expected()))
        }
        Err(AuthenticateError::NotAUser { .. } | AuthenticateError::NoSuchUser) => {
            refused("It is signed by this server, but is not a user's token.".to_owned())
        }
        Err(AuthenticateError::PersonalToken) => refused("It is a personal access token, not a JWT.".to_owned()),
        Err(AuthenticateError::Ended) => refused(
            "It is signed by this server, but its session has ended: signed out, password changed, or the account \
             disabled or deleted."
                .to_owned(),
        ),
        Err(error @ AuthenticateError::Store(_)) => Err(sentence(error)),
    }
}

fn unchecked(reason: &str) -> Verdict {
    let words = format!("Not checked, only decoded. {reason} Another server's key can be given with --key-file.");
    Verdict { valid: None, words }
}

/// Checks with a key that was handed over: any issuer and no audience, unless they are named.
fn against_key(token: &str, decoded: &Decoded, path: &Path, arguments: &TokenInspect) -> Result<Verdict, Failure> {
    let expected = Expected {
        issuer: arguments.expect_issuer.clone(),
        audiences: arguments.expect_audience.iter().cloned().collect(),
        types: Vec::new(),
    };
    let refused = |error: &VerifyError| {
        let words = format!("Refused. {}", inspect::explain(error, decoded, &expected));
        Ok(Verdict { valid: Some(false), words })
    };
    if let Some(problem) = decoded.problems.first() {
        return refused(problem);
    }
    let algorithm = decoded.header["alg"].as_str().and_then(|name| name.parse::<Algorithm>().ok());
    let Some(algorithm) = algorithm else { return refused(&VerifyError::UnsupportedAlgorithm) };
    let text =
        read_secret(path).map_err(|reason| Failure::command(format!("The key file {} {reason}.", path.display())))?;
    let keys = match read_keys(text.expose(), algorithm) {
        Ok(keys) => keys,
        Err(KeyError::AlgorithmMismatch(_)) => return refused(&VerifyError::AlgorithmMismatch),
        Err(error) => {
            return Err(Failure::command(format!("The key in {} cannot be used: {error}.", path.display())));
        }
    };
    let only_one = keys.len() == 1;
    let mut builder = VerifierBuilder::lenient(keys).ignore_kid(only_one);
    if let Some(audience) = &arguments.expect_audience {
        builder = builder.audience(audience);
    }
    if let Some(issuer) = &arguments.expect_issuer {
        builder = builder.issuer(issuer);
    }
    match builder.claims::<serde_json::Value>().max_length(inspect::MAX_INSPECTED).build().verify(token) {
        Ok(_) => Ok(Verdict { valid: Some(true), words: format!("Valid: signed by the key in {}.", path.display()) }),
        Err(error) => refused(&error),
    }
}

/// The keys in a PEM block, a JWK, a JWK Set, or else a shared secret.
fn read_keys(text: &str, algorithm: Algorithm) -> Result<KeySet, KeyError> {
    let key = if text.trim_start().starts_with("-----BEGIN") {
        VerificationKey::from_pem(None, algorithm, text)?
    } else if let Ok(set) = serde_json::from_str::<JwkSet>(text) {
        return Ok(KeySet::from_jwks(&set).0);
    } else if let Ok(jwk) = serde_json::from_str::<Jwk>(text) {
        VerificationKey::from_jwk_with_algorithm(&jwk, algorithm)?
    } else {
        VerificationKey::hmac_allow_short(None, algorithm, text.as_bytes())?
    };
    KeySet::from_keys([key])
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().take(inspect::MAX_INSPECTED as u64 + 1024).read_to_string(&mut text).map_err(|error| {
        Failure::command(format!("The token cannot be read from standard input: {}.", reason(&error)))
    })?;
    Ok(text)
}

/// The token without what people copy along with it.
fn bare(token: &str) -> &str {
    let token = token.trim();
    match token.split_at_checked("Bearer ".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("Bearer ") => rest.trim_start(),
        _ => token,
    }
}

/// Text of strangers must not steer the terminal.
fn visible(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}
