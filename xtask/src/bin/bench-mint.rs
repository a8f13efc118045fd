//! Many tokens that differ in their `jti` alone, so that none is remembered from another.
//! Usage: `bench-mint FROM COUNT FILE`, with `SECRET_KEY` in the environment and a token of that key on standard input. The
//! file gets a token in each line.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Write};

use mapae_verify::inspect;
use mapae_verify::{Algorithm, SigningKey};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, count, file] = <[String; 3]>::try_from(arguments).map_err(|_| "usage: bench-mint FROM COUNT FILE")?;
    let mut token = String::new();
    std::io::stdin().read_to_string(&mut token)?;
    let mut claims = inspect::decode(&token)?.claims;
    let key = SigningKey::hmac(None, Algorithm::HS256, std::env::var("SECRET_KEY")?.as_bytes())?;
    let mut file = BufWriter::new(File::create(file)?);
    let from: u64 = from.parse()?;
    for number in from..from + count.parse::<u64>()? {
        claims["jti"] = format!("{number:020}").into();
        writeln!(file, "{}", key.sign("at+jwt", &claims)?)?;
    }
    Ok(file.flush()?)
}
