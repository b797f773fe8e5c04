//! Words, quoted texts and signs of a condition, each with its place.

use super::Comparison;
use crate::error::{Error, Result};

/// Bytes of a condition as text: [`MAX_TERMS`](super::MAX_TERMS) comparisons of ordinary keys and
/// values are far shorter.
pub(super) const MAX_BYTES: usize = 16 * 1024;

/// Characters shown in front of the place of an error.
const SHOWN: usize = 30;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Anything without spaces, quotes or signs.
    Word(String),
    /// What stood in quotes.
    Quoted(String),
    Sign(Comparison),
    Open,
    Close,
    End,
}

/// A token and the byte where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

/// The tokens of `text`, the last one an end.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>> {
    if text.len() > MAX_BYTES {
        let problem = format!("has {} bytes, the limit is {MAX_BYTES}; leave some out", text.len());
        return Err(Error::invalid("where", problem));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let placed = lexer.next()?;
        let ended = placed.token == Token::End;
        tokens.push(placed);
        if ended {
            return Ok(tokens);
        }
    }
}

/// The error of something wrong at a byte of `text`.
pub(super) fn refuse(text: &str, at: usize, problem: &str) -> Error {
    let before = text.get(..at).unwrap_or(text);
    let place = before.chars().count() + 1;
    let mut shown: Vec<char> = before.trim_end().chars().rev().take(SHOWN).collect();
    shown.reverse();
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let shown: String = shown.into_iter().map(visible).collect();
    let after = if shown.is_empty() { shown } else { format!(" (after {shown})") };
    Error::invalid("where", format!("at character {place}{after}: {problem}"))
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.at += wanted.len_utf8();
        }
        is_next
    }

    fn next(&mut self) -> Result<Placed> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.take();
        }
        let at = self.at;
        let Some(first) = self.take() else { return Ok(Placed { token: Token::End, at }) };
        let token = match first {
            '(' => Token::Open,
            ')' => Token::Close,
            '"' | '\'' => Token::Quoted(self.quoted(first, at)?),
            '=' => {
                self.take_if('=');
                Token::Sign(Comparison::Equal)
            }
            '!' if self.take_if('=') => Token::Sign(Comparison::NotEqual),
            '!' => return Err(refuse(self.text, at, "! stands alone; write != or NOT")),
            '<' if self.take_if('=') => Token::Sign(Comparison::LessOrEqual),
            '<' if self.take_if('>') => Token::Sign(Comparison::NotEqual),
            '<' => Token::Sign(Comparison::Less),
            '>' if self.take_if('=') => Token::Sign(Comparison::GreaterOrEqual),
            '>' => Token::Sign(Comparison::Greater),
            _ => {
                while self.peek().is_some_and(is_word) {
                    self.take();
                }
                Token::Word(self.text.get(at..self.at).unwrap_or_default().to_owned())
            }
        };
        Ok(Placed { token, at })
    }

    /// What follows an opening quote, up to the closing one.
    fn quoted(&mut self, quote: char, start: usize) -> Result<String> {
        let mut content = String::new();
        loop {
            let at = self.at;
            match self.take() {
                None => {
                    let problem = format!("this text has no end; close it with {quote}");
                    return Err(refuse(self.text, start, &problem));
                }
                Some(c) if c == quote => return Ok(content),
                Some('\\') => content.push(self.escape(at)?),
                Some(c) => content.push(c),
            }
        }
    }

    fn escape(&mut self, at: usize) -> Result<char> {
        match self.take() {
            Some(c @ ('"' | '\'' | '\\')) => Ok(c),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            _ => {
                let problem = r#"a backslash makes \" \' \\ \n \r \t; write \\ for one of its own"#;
                Err(refuse(self.text, at, problem))
            }
        }
    }
}

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '(' | ')' | '"' | '\'' | '=' | '!' | '<' | '>')
}
