//! Evaluates SPDX licence expressions: <https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>.

/// Whether `expression` can be satisfied with the licences in `allowed` alone.
///
/// `AND` binds closer than `OR`; `X WITH Y` is one entry of `allowed`. The `/` of old manifests
/// means `OR`. An expression that cannot be read is not satisfied.
pub(crate) fn satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = Words { words: spaced.split_whitespace().collect(), next: 0 };
    let verdict = words.either(allowed);
    verdict == Some(true) && words.peek().is_none()
}

/// A recursive descent over the words of an expression; `None` is a syntax error.
struct Words<'a> {
    words: Vec<&'a str>,
    next: usize,
}

impl Words<'_> {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.next).copied()
    }

    fn skip(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.next += usize::from(found);
        found
    }

    fn either(&mut self, allowed: &[&str]) -> Option<bool> {
        let mut verdict = self.both(allowed)?;
        while self.skip("OR") {
            verdict |= self.both(allowed)?;
        }
        Some(verdict)
    }

    fn both(&mut self, allowed: &[&str]) -> Option<bool> {
        let mut verdict = self.one(allowed)?;
        while self.skip("AND") {
            verdict &= self.one(allowed)?;
        }
        Some(verdict)
    }

    fn one(&mut self, allowed: &[&str]) -> Option<bool> {
        if self.skip("(") {
            let verdict = self.either(allowed)?;
            return self.skip(")").then_some(verdict);
        }
        let mut licence = self.peek()?.to_owned();
        self.next += 1;
        if self.skip("WITH") {
            licence = format!("{licence} WITH {}", self.peek()?);
            self.next += 1;
        }
        Some(allowed.contains(&licence.as_str()))
    }
}

#[test]
fn licence_expressions_are_evaluated_not_searched() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR GPL-2.0-only) AND Unicode-3.0",
        "GPL-2.0-only OR MIT AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0-only",
    ] {
        assert!(satisfied(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "GPL-3.0-only WITH Classpath-exception-2.0",
        "(MIT OR Apache-2.0) AND OpenSSL",
        "MIT OR",
        "(MIT",
        "MIT Apache-2.0",
    ] {
        assert!(!satisfied(bad, &allowed), "{bad}");
    }
}
