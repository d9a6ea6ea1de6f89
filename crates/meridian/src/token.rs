//! `meridian token`: a secret for who uses the API over a network, and the line that lets them in.

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use meridian_admin::Token;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use crate::exit;
use crate::page::{self, print};

/// Nobody guesses one.
const OCTETS: usize = 32;
/// So that what leaks can be found, and is known for what it is.
const PREFIX: &str = "meridian_";

/// For whom.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// What it is good for.
    role: Role,
    /// Whose it is: a person or a program.
    name: String,
    /// Write JSON: both of it, with nothing on standard error.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// To see everything.
    Viewer,
    /// And to change it.
    Operator,
}

pub(crate) fn run(asked: &Asked) -> anyhow::Result<u8> {
    let Asked { role, name, json } = asked;
    if name.is_empty() || name.contains(|character: char| character == ',' || character.is_control()) {
        return Err(anyhow!("name: expected a word or more in one line, without a comma, found {name:?}"));
    }
    let mut octets = [0; OCTETS];
    SystemRandom::new().fill(&mut octets).map_err(|_| anyhow!("the system has no random numbers"))?;
    let token = format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&octets));
    let sha256 = HEXLOWER.encode(&Token::hash(&token));
    let role = match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
    };
    if *json {
        let made = json!({ "role": role, "name": name, "sha256": sha256, "token": token });
        print(&page::json(&made)?);
        return Ok(exit::OK);
    }
    // The secret alone on the one, so that it can be put where it belongs without being seen.
    eprintln!(
        "a line for token_file under [admin], whose first line is role,name,sha256:\n{role},{name},{sha256}"
    );
    print(&format!("{token}\n"));
    Ok(exit::OK)
}
