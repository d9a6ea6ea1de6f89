//! Patterns over names.

/// Whether a pattern covers a name: `*` any characters or none, `?` any one.
#[must_use]
pub fn glob_matches(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let (mut g, mut n) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: one character later.
    let mut retry = None;
    while n < name.len() {
        match glob.get(g) {
            Some(b'*') => {
                retry = Some((g + 1, n));
                g += 1;
            }
            Some(c) if *c == b'?' || name.get(n) == Some(c) => (g, n) = (g + 1, n + 1),
            _ => {
                let Some((after_star, from)) = retry else { return false };
                retry = Some((after_star, from + 1));
                (g, n) = (after_star, from + 1);
            }
        }
    }
    glob.get(g..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::glob_matches;

    #[test]
    fn globs() {
        for (glob, name, wanted) in [
            ("*", "eu-west", true),
            ("eu-*", "eu-west", true),
            ("eu-*", "eu-", true),
            ("eu-*", "eu", false),
            ("*-west", "eu-west", true),
            ("*-west", "us-west-west", true),
            ("e?-w*t", "eu-west", true),
            ("e?-west", "e-west", false),
            ("*a*b", "xaxaxb", true),
            ("*a*b", "xaxaxbc", false),
            ("", "", true),
            ("", "a", false),
            ("eu-west", "eu-west", true),
            ("eu-west", "eu-west-2", false),
        ] {
            assert_eq!(glob_matches(glob, name), wanted, "{glob} over {name}");
        }
    }
}
