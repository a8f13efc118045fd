//! Rules for new passwords, after NIST SP 800-63B and OWASP ASVS 6.2.
//!
//! Any characters, no composition rules, no expiry: a minimum length, a list of common passwords, an estimate of how
//! many guesses the password would take, and not the user's own name or address. The list and the estimate are those
//! of zxcvbn. A list of breached passwords can be added.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use zxcvbn::feedback::Warning;

use crate::Password;

/// Passwords that are known from breaches of other services, by their SHA-1, as Have I Been Pwned publishes them.
///
/// SHA-1 only finds the line here; nothing is protected by it.
pub trait BreachedPasswords: fmt::Debug + Send + Sync {
    /// Whether the password with this SHA-1 is among them. This may block: it runs where hashes are computed.
    ///
    /// # Errors
    /// Why the list cannot be read. No password is accepted then.
    fn contains(&self, sha1: &[u8; 20]) -> Result<bool, Box<dyn Error + Send + Sync>>;
}

/// What a new password must fulfil.
#[derive(Clone, Debug)]
pub struct PasswordPolicy {
    /// The fewest characters (Unicode code points, as NIST SP 800-63B counts). 8 is what ASVS 6.2.1 asks for; 15 is
    /// what NIST SP 800-63B-4 wants where a password is the only factor.
    pub min_length: usize,
    /// The most bytes of UTF-8; never above [`Password::MAX_BYTES`].
    pub max_bytes: usize,
    /// How hard to guess. With `None`, only what is guessed within the list of common passwords is refused: those on
    /// it, and what takes no more guesses than it is long.
    pub min_strength: Option<Strength>,
    /// Passwords that are refused since they are known from breaches.
    pub breached: Option<Arc<dyn BreachedPasswords>>,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: 8, max_bytes: Password::MAX_BYTES, min_strength: Some(Strength::Safe), breached: None }
    }
}

/// How hard a password is to guess, as zxcvbn estimates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// 10⁶ guesses: holds against guessing over the network.
    Fair,
    /// 10⁸ guesses: holds for a while against an attacker with the hash. Eight random characters pass, and so do a few
    /// words.
    Safe,
    /// 10¹⁰ guesses.
    Strong,
}

impl Strength {
    const fn guesses(self) -> u64 {
        match self {
            Self::Fair => 1_000_000,
            Self::Safe => 100_000_000,
            Self::Strong => 10_000_000_000,
        }
    }
}

/// As many as zxcvbn's list of common passwords has; 11,611 of them have 8 characters or more.
const COMMON_PASSWORDS: u64 = 30_000;

/// One rule that a password broke. The display text is a sentence for the person who chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyViolation {
    /// Fewer characters than required.
    TooShort {
        /// The fewest that are allowed.
        min_length: usize,
    },
    /// More bytes than allowed.
    TooLong {
        /// The most that are allowed.
        max_bytes: usize,
    },
    /// It is among the passwords that are tried first.
    TooCommon,
    /// It is or holds the user's own name or address.
    ContainsUserName,
    /// It is on the list of breached passwords.
    Breached,
    /// It would take too few guesses.
    TooGuessable {
        /// Why, and what would help, in sentences.
        feedback: Vec<String>,
    },
}

impl PolicyViolation {
    /// A stable name for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::TooLong { .. } => "too_long",
            Self::TooCommon => "too_common",
            Self::ContainsUserName => "contains_user_name",
            Self::Breached => "breached",
            Self::TooGuessable { .. } => "too_guessable",
        }
    }
}

impl fmt::Display for PolicyViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { min_length } => write!(f, "Use at least {min_length} characters."),
            Self::TooLong { max_bytes } => {
                write!(f, "Use a password of at most {max_bytes} bytes.")
            }
            Self::TooCommon => f.write_str("This is a very common password."),
            Self::ContainsUserName => f.write_str("Do not use your own name or address in the password."),
            Self::Breached => f.write_str("This password was stolen from another service before. Choose another."),
            Self::TooGuessable { feedback } => {
                f.write_str("This password is easy to guess.")?;
                feedback.iter().try_for_each(|sentence| write!(f, " {sentence}"))
            }
        }
    }
}

/// Why a new password was not accepted.
#[derive(Debug)]
pub enum PolicyError {
    /// It breaks these rules, in a fixed order.
    Broken(Vec<PolicyViolation>),
    /// The list of breached passwords cannot be read, so whether the password is on it cannot be told.
    Unreadable(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(violations) => {
                let sentences: Vec<String> = violations.iter().map(ToString::to_string).collect();
                f.write_str(&sentences.join(" "))
            }
            Self::Unreadable(error) => write!(f, "the list of breached passwords cannot be read: {error}"),
        }
    }
}

impl Error for PolicyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(_) => None,
            Self::Unreadable(error) => Some(error.as_ref()),
        }
    }
}

/// zxcvbn takes more than quadratic time; 64 characters are enough to see whether a password is any good.
const JUDGED_CHARS: usize = 64;
/// The signs that zxcvbn tries as a letter, letter by letter. It looks the whole text up once for each combination of
/// those that occur: hundreds of times where somebody uses them all.
const LOOKALIKES: &[&[char]] = &[
    &['4', '@'],
    &['8'],
    &['(', '{', '[', '<'],
    &['3'],
    &['6', '9'],
    &['1', '!', '|'],
    &['1', '|', '7'],
    &['0'],
    &['$', '5'],
    &['+', '7'],
    &['%'],
    &['2'],
];
/// The most work for these look-ups, in combinations times characters squared. All 64 characters are judged with up to
/// 9 combinations, 32 with up to 39, and 8 whatever they are.
const MAX_LOOKALIKE_WORK: usize = 40_000;
/// Shorter inputs are part of too many words: a user named "Al" may use "also".
const MIN_INPUT_CHARS: usize = 4;
/// The most of a user's words that are looked at, and of each of them.
const MAX_INPUTS: usize = 16;

impl PasswordPolicy {
    /// Checks a new password. `user_inputs` is what the user told about themself: names, addresses.
    ///
    /// This computes for up to some ten milliseconds, and longer the first time: run it where hashes are computed.
    ///
    /// # Errors
    /// [`PolicyError::Broken`] with every rule that is broken; [`PolicyError::Unreadable`] if no other rule is broken
    /// and the list of breached passwords cannot be read.
    pub fn check(&self, password: &Password, user_inputs: &[&str]) -> Result<(), PolicyError> {
        let mut violations = Vec::new();
        let text = password.as_str();
        if text.chars().count() < self.min_length {
            violations.push(PolicyViolation::TooShort { min_length: self.min_length });
        }
        if text.len() > self.max_bytes {
            violations.push(PolicyViolation::TooLong { max_bytes: self.max_bytes });
        }
        let inputs = input_words(user_inputs);
        if inputs.iter().any(|word| makes_up(word, text)) {
            violations.push(PolicyViolation::ContainsUserName);
        }
        self.check_guessing(text, &inputs, &mut violations);
        match self.is_breached(password) {
            Ok(false) => {}
            Ok(true) => violations.push(PolicyViolation::Breached),
            Err(error) if violations.is_empty() => return Err(PolicyError::Unreadable(error)),
            // The password is refused either way, and its owner learns why.
            Err(_) => {}
        }
        if violations.is_empty() { Ok(()) } else { Err(PolicyError::Broken(violations)) }
    }

    fn is_breached(&self, password: &Password) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let Some(list) = &self.breached else { return Ok(false) };
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        let mut sha1 = [0; 20];
        sha1.copy_from_slice(digest.as_ref());
        list.contains(&sha1)
    }

    fn check_guessing(&self, text: &str, inputs: &[String], violations: &mut Vec<PolicyViolation>) {
        let judged = judged_part(text);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let entropy = zxcvbn::zxcvbn(judged, &inputs);
        let warning = entropy.feedback().and_then(|feedback| feedback.warning());
        if warning.is_some_and(is_on_the_list) {
            violations.push(PolicyViolation::TooCommon);
        } else if entropy.guesses() < self.min_strength.map_or(COMMON_PASSWORDS, Strength::guesses) {
            let mut feedback: Vec<String> = warning.iter().map(ToString::to_string).collect();
            if let Some(given) = entropy.feedback() {
                feedback.extend(given.suggestions().iter().map(ToString::to_string));
            }
            violations.push(PolicyViolation::TooGuessable { feedback });
        }
    }
}

/// The beginning of a password that is judged: as much as can be judged in time.
fn judged_part(text: &str) -> &str {
    let mut found = [[false; 4]; LOOKALIKES.len()];
    for (count, (start, sign)) in text.char_indices().enumerate() {
        for (found, signs) in found.iter_mut().zip(LOOKALIKES) {
            if let Some(at) = signs.iter().position(|one| *one == sign) {
                found[at] = true;
            }
        }
        let choices = |found: &[bool; 4]| found.iter().filter(|one| **one).count().max(1);
        let combinations: usize = found.iter().map(choices).product();
        if count == JUDGED_CHARS || combinations * (count + 1).pow(2) > MAX_LOOKALIKE_WORK {
            return &text[..start];
        }
    }
    text
}

fn is_on_the_list(warning: Warning) -> bool {
    matches!(warning, Warning::ThisIsATop10Password | Warning::ThisIsATop100Password | Warning::ThisIsACommonPassword)
}

/// What the user told, lower-cased, whole and in its words.
fn input_words(user_inputs: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    for input in user_inputs.iter().take(MAX_INPUTS) {
        let input: String = input.chars().take(JUDGED_CHARS).collect::<String>().to_lowercase();
        words.extend(
            input
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| word.chars().count() >= MIN_INPUT_CHARS)
                .map(str::to_owned),
        );
        if input.chars().count() >= MIN_INPUT_CHARS {
            words.push(input);
        }
    }
    words.sort_unstable();
    words.dedup();
    words
}

/// Whether the word is the password or most of it. A long passphrase may hold a short name: zxcvbn counts that word
/// as nothing and judges the rest.
fn makes_up(word: &str, password: &str) -> bool {
    let password = password.to_lowercase();
    password.contains(word) && word.chars().count() * 2 >= password.chars().count()
}
