//! The bare cost of a password hash, with memory that is kept from one to the next, as the server's pool keeps it.
//! Usage: `bench-hash MEMORY_KIB ITERATIONS PARALLELISM THREADS SECONDS` prints the seconds of the median hash;
//! `bench-hash MEMORY_KIB ITERATIONS PARALLELISM` reads a password from standard input and prints its hash.

use std::error::Error;
use std::io::Read;
use std::str::FromStr;
use std::time::{Duration, Instant};

use mapae_password::{Argon2Params, Context, Password, Workspace};

/// All accounts of a benchmark may have the same hash.
const SALT: [u8; 16] = [7; 16];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| -> Result<u32, Box<dyn Error>> {
        Ok(u32::from_str(arguments.get(index).ok_or("too few arguments: see the top of this program")?)?)
    };
    let argon2 = Argon2Params::new(number(0)?, number(1)?, number(2)?)?;
    let context = Context { argon2, ..Context::default() };
    if arguments.len() == 3 {
        let mut password = String::new();
        std::io::stdin().read_to_string(&mut password)?;
        println!("{}", context.hash(&Password::new(&password)?, &SALT, &mut Workspace::new())?.as_str());
        return Ok(());
    }
    let (threads, time) = (number(3)?, Duration::from_secs(number(4)?.into()));
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let context = context.clone();
            std::thread::spawn(move || repeat(&context, time))
        })
        .collect();
    let mut seconds = Vec::new();
    for thread in threads {
        seconds.extend(thread.join().map_err(|_| "a thread panicked")?);
    }
    seconds.sort_by(f64::total_cmp);
    println!("{}", seconds.get(seconds.len() / 2).ok_or("no hash was finished")?);
    Ok(())
}

/// The seconds that each hash took; the first one, which gets the memory, aside.
#[expect(clippy::disallowed_methods, reason = "measures time")]
fn repeat(context: &Context, time: Duration) -> Vec<f64> {
    let mut workspace = Workspace::new();
    let mut seconds = Vec::new();
    let began = Instant::now();
    let mut is_first = true;
    while began.elapsed() < time || seconds.is_empty() {
        let hash_began = Instant::now();
        let password = Password::new("a tablet for nine post horses").expect("short enough");
        context.hash(&password, &SALT, &mut workspace).expect("the cost is within the limits");
        if !std::mem::take(&mut is_first) {
            seconds.push(hash_began.elapsed().as_secs_f64());
        }
    }
    seconds
}
