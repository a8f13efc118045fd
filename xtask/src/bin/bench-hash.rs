//! The bare cost of a password hash, with memory that is kept from one to the next, as the server's pool keeps it.
//! Usage: `bench-hash MEMORY_KIB ITERATIONS PARALLELISM THREADS SECONDS` prints how many all threads do per second;
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
    let threads = number(3)?;
    let time = Duration::try_from_secs_f64(arguments.get(4).ok_or("for how many seconds?")?.parse()?)?;
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let context = context.clone();
            std::thread::spawn(move || rate(&context, time))
        })
        .collect();
    let mut per_second = 0.0;
    for thread in threads {
        per_second += thread.join().map_err(|_| "a thread panicked")?;
    }
    println!("{per_second}");
    Ok(())
}

/// The hashes per second of one thread; the first one, which gets the memory, aside.
#[expect(clippy::disallowed_methods, reason = "measures time")]
fn rate(context: &Context, time: Duration) -> f64 {
    let mut workspace = Workspace::new();
    let mut hash = || {
        let password = Password::new("a tablet for nine post horses").expect("short enough");
        context.hash(&password, &SALT, &mut workspace).expect("the cost is within the limits");
    };
    hash();
    let began = Instant::now();
    let mut hashes = 0_u32;
    while hashes == 0 || began.elapsed() < time {
        hash();
        hashes += 1;
    }
    f64::from(hashes) / began.elapsed().as_secs_f64()
}
