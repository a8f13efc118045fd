//! From where requests come, for the audit trail and for slowing down who guesses.

use std::fmt;
use std::net::IpAddr;

use super::{Device, SecretText};

/// From where a request comes. Empty for what comes from the command line or from the program itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The client's network address, as far as trusted proxies tell it.
    pub address: Option<IpAddr>,
    /// What the log lines of the request and its answer carry.
    pub request_id: Option<RequestId>,
}

/// A request's id: unique, not secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// Tells this process's requests from those of others.
    pub process: u32,
    /// The number of the request in this process.
    pub number: u32,
}

impl RequestId {
    /// 16 hexadecimal digits, in ASCII.
    pub(crate) fn text(self) -> [u8; 16] {
        let both = (u64::from(self.process) << 32 | u64::from(self.number)).to_be_bytes();
        let mut text = [0; 16];
        hex::encode_to_slice(both, &mut text).expect("two digits for each byte");
        text
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text()).expect("digits are ASCII"))
    }
}

/// The program that signs somebody in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// What the client called itself, or its `User-Agent`.
    pub name: Option<String>,
    /// From where it asks.
    pub source: Source,
    /// What it shows to be known again, see [`device_token`](super::device_token).
    pub device_token: Option<SecretText>,
}

impl Sender {
    /// What a session keeps of it.
    pub fn device(&self) -> Device {
        Device { name: self.name.clone(), address: self.source.address.map(|address| address.to_string()) }
    }
}
