//! From text to a condition, by recursive descent: OR of ANDs of NOTs of comparisons.

use std::str::FromStr;

use super::lex::{Placed, Token, refuse, tokens};
use super::{Condition, MAX_DEPTH};
use crate::episode::MetadataValue;
use crate::error::{Error, Result, excerpt};

const A_VALUE: &str = "write a number, true, false, or \"text\"";
const AN_OPERATOR: &str = "write =, !=, <, <=, >, >=, STARTS WITH or EXISTS after the key";

impl FromStr for Condition {
    type Err = Error;

    /// Reads a condition. The error says at which character, what is wrong and what would be right.
    fn from_str(text: &str) -> Result<Self> {
        let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0 };
        let condition = parser.any()?;
        match parser.peek() {
            Token::End => {}
            Token::Close => {
                return Err(parser.refuse("this ) closes nothing; remove it, or add a ( before"));
            }
            _ => {
                let problem = "a comparison has ended here; go on with AND or OR, and put values \
                               with spaces or signs in quotes";
                return Err(parser.refuse(problem));
            }
        }
        condition.validate()?;
        Ok(condition)
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |placed| &placed.token)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    /// Takes the next token if it is this word, in any case, out of quotes.
    fn take_word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(found);
        found
    }

    /// The error of the next token.
    fn refuse(&self, problem: &str) -> Error {
        let at = self.tokens.get(self.next).map_or(self.text.len(), |placed| placed.at);
        refuse(self.text, at, problem)
    }

    fn any(&mut self) -> Result<Condition> {
        let mut list = vec![self.all()?];
        while self.take_word("OR") {
            list.push(self.all()?);
        }
        Ok(one_or(list, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition> {
        let mut list = vec![self.factor()?];
        while self.take_word("AND") {
            list.push(self.factor()?);
        }
        Ok(one_or(list, Condition::All))
    }

    fn factor(&mut self) -> Result<Condition> {
        if self.take_word("NOT") {
            return self.nested(|parser| Ok(Condition::Not(Box::new(parser.factor()?))));
        }
        if *self.peek() == Token::Open {
            let opened = self.next;
            self.next += 1;
            let inner = self.nested(Self::any)?;
            if self.take() != Token::Close {
                self.next = opened;
                return Err(self.refuse("this ( is not closed; add a )"));
            }
            return Ok(inner);
        }
        self.comparison()
    }

    /// Bounds the recursion.
    fn nested(&mut self, part: impl FnOnce(&mut Self) -> Result<Condition>) -> Result<Condition> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let problem = format!("nested deeper than {MAX_DEPTH}; leave out some ( or NOT");
            return Err(self.refuse(&problem));
        }
        let condition = part(self);
        self.depth -= 1;
        condition
    }

    fn comparison(&mut self) -> Result<Condition> {
        let key = match self.peek() {
            Token::Word(word) if is_keyword(word) => {
                let problem = format!(
                    "a comparison is missing before {word}; write for instance attempts > 2, and \
                     put a key of that name in quotes"
                );
                return Err(self.refuse(&problem));
            }
            Token::Word(key) | Token::Quoted(key) => key.clone(),
            _ => return Err(self.refuse("a key is missing; write for instance attempts > 2")),
        };
        self.next += 1;
        if self.take_word("EXISTS") {
            return Ok(Condition::Exists { key });
        }
        if self.take_word("STARTS") {
            if !self.take_word("WITH") {
                return Err(self.refuse("STARTS needs WITH; write STARTS WITH \"text\""));
            }
            return Ok(Condition::StartsWith { key, prefix: self.text_value()? });
        }
        let Token::Sign(how) = self.peek() else { return Err(self.no_operator()) };
        let how = *how;
        self.next += 1;
        let value = self.value()?;
        if how.orders() && matches!(value, MetadataValue::Boolean(_)) {
            self.next -= 1;
            return Err(self.refuse("true and false have no order; compare them with = or !="));
        }
        Ok(Condition::Compare { key, how, value })
    }

    fn no_operator(&self) -> Error {
        let hint = match self.peek() {
            Token::Word(word) if word.eq_ignore_ascii_case("LIKE") => {
                "there is no LIKE; write STARTS WITH \"text\""
            }
            Token::Word(word) if word.eq_ignore_ascii_case("IN") => {
                "there is no IN; write k = 1 OR k = 2"
            }
            Token::Word(word) if word.eq_ignore_ascii_case("IS") => {
                "there is no IS; write k EXISTS or NOT k EXISTS"
            }
            Token::Word(word) if word.eq_ignore_ascii_case("BETWEEN") => {
                "there is no BETWEEN; write k >= 1 AND k <= 2"
            }
            _ => AN_OPERATOR,
        };
        self.refuse(hint)
    }

    fn value(&mut self) -> Result<MetadataValue> {
        let value = match self.peek() {
            Token::Quoted(text) => MetadataValue::Text(text.clone()),
            Token::Word(word) if is_keyword(word) => {
                let problem = format!(
                    "a value is missing before {word}; {A_VALUE}, in quotes if {word} is the text"
                );
                return Err(self.refuse(&problem));
            }
            Token::Word(word) => match typed(word) {
                Some(value) => value,
                None => {
                    let shown = excerpt(word);
                    let problem = format!("{shown} is too large for a number; {A_VALUE}");
                    return Err(self.refuse(&problem));
                }
            },
            _ => return Err(self.refuse(&format!("a value is missing; {A_VALUE}"))),
        };
        self.next += 1;
        Ok(value)
    }

    /// A text, whatever it looks like.
    fn text_value(&mut self) -> Result<String> {
        match self.peek() {
            Token::Word(text) | Token::Quoted(text) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.refuse("a text is missing; write STARTS WITH \"text\"")),
        }
    }
}

fn is_keyword(word: &str) -> bool {
    ["AND", "OR", "NOT"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// What a word without quotes means: true, false, a number where it looks like one, else text.
/// `None`: a number beyond all bounds.
fn typed(word: &str) -> Option<MetadataValue> {
    if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
        return Some(MetadataValue::Boolean(word.eq_ignore_ascii_case("true")));
    }
    if let Ok(integer) = word.parse() {
        return Some(MetadataValue::Integer(integer));
    }
    let looks_like_number = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && word.contains(|c: char| c.is_ascii_digit());
    match word.parse::<f64>() {
        Ok(real) if looks_like_number => real.is_finite().then_some(MetadataValue::Real(real)),
        _ => Some(MetadataValue::Text(word.to_owned())),
    }
}

fn one_or(mut list: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match list.pop() {
        Some(only) if list.is_empty() => only,
        last => {
            list.extend(last);
            many(list)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Condition {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn values_have_the_type_they_look_like_and_quotes_make_text() {
        let value = |text: &str| match parse(text) {
            Condition::Compare { value, .. } => value,
            other => panic!("{other:?}"),
        };
        assert_eq!(value("attempt=2"), MetadataValue::Integer(2));
        assert_eq!(value("n = -9223372036854775808"), MetadataValue::Integer(i64::MIN));
        assert_eq!(value("n = 9223372036854775808"), MetadataValue::Real(2f64.powi(63)));
        assert_eq!(value("share=0.5"), MetadataValue::Real(0.5));
        assert_eq!(value("x=-1e3"), MetadataValue::Real(-1000.0));
        assert_eq!(value("green=true"), MetadataValue::Boolean(true));
        assert_eq!(value("repo=api"), MetadataValue::Text("api".into()));
        assert_eq!(value("repo=acme/site.rs:12"), MetadataValue::Text("acme/site.rs:12".into()));
        assert_eq!(value("build=\"42\""), MetadataValue::Text("42".into()));
        assert_eq!(value("day = 2026-03-01"), MetadataValue::Text("2026-03-01".into()));
        assert_eq!(value("name=inf"), MetadataValue::Text("inf".into()));
        assert_eq!(
            value(r#"q = "a \"b\" 'c' \\ \n""#),
            MetadataValue::Text("a \"b\" 'c' \\ \n".into())
        );
        assert_eq!(value("q = 'it\\'s \u{1F600}'"), MetadataValue::Text("it's \u{1F600}".into()));
    }

    #[test]
    fn keys_are_words_or_quoted() {
        assert_eq!(parse("a.b-c/d EXISTS"), Condition::Exists { key: "a.b-c/d".into() });
        assert_eq!(parse("\"not\" = 1"), Condition::equals("not", 1));
        assert_eq!(parse("'two words' = 1"), Condition::equals("two words", 1));
        assert_eq!(parse("\u{1F600}=1"), Condition::equals("\u{1F600}", 1));
    }

    #[test]
    fn and_binds_tighter_than_or_and_not_tightest() {
        let [a, b, c] = ["a", "b", "c"].map(|key| Condition::equals(key, 1));
        assert_eq!(
            parse("a=1 OR b=1 and not c=1"),
            Condition::Any(vec![
                a.clone(),
                Condition::All(vec![b.clone(), Condition::Not(Box::new(c.clone()))])
            ])
        );
        assert_eq!(
            parse("(a=1 or b=1) AND c=1"),
            Condition::All(vec![Condition::Any(vec![a, b]), c])
        );
    }

    #[test]
    fn errors_point_at_the_place_and_say_what_would_be_right() {
        let cases = [
            ("", "at character 1: a key is missing; write for instance attempts > 2"),
            ("repo", "at character 5 (after repo): write =, !=, <, <=, >, >=, STARTS WITH"),
            ("repo =", "at character 7 (after repo =): a value is missing; write a number"),
            ("repo = AND x = 1", "at character 8 (after repo =): a value is missing before AND"),
            ("a = 1 AND", "at character 10 (after a = 1 AND): a key is missing"),
            ("a = 1 AND OR b = 2", "at character 11 (after a = 1 AND): a comparison is missing"),
            (
                "a = 1 b = 2",
                "at character 7 (after a = 1): a comparison has ended here; go on with",
            ),
            ("q=a=b", "at character 4 (after q=a): a comparison has ended here"),
            ("(a = 1", "at character 1: this ( is not closed; add a )"),
            ("a = 1)", "at character 6 (after a = 1): this ) closes nothing"),
            ("a = \"x", "at character 5 (after a =): this text has no end; close it with \""),
            ("a = 'x\\d'", "at character 7 (after a = 'x): a backslash makes"),
            ("a ! 1", "at character 3 (after a): ! stands alone; write != or NOT"),
            ("a > true", "at character 5 (after a >): true and false have no order"),
            ("a LIKE 'x%'", "at character 3 (after a): there is no LIKE; write STARTS WITH"),
            ("a IN (1)", "there is no IN; write k = 1 OR k = 2"),
            ("a IS NULL", "there is no IS"),
            ("a BETWEEN 1 AND 2", "there is no BETWEEN"),
            ("a STARTS 'x'", "STARTS needs WITH"),
            ("a STARTS WITH", "a text is missing"),
            ("a = 1e999", "1e999 is too large for a number"),
            ("\"\" = 1", "a key is empty"),
            ("\u{1F600} = \u{1F600} )", "at character 7"),
        ];
        for (text, expected) in cases {
            let told = text.parse::<Condition>().unwrap_err().to_string();
            assert!(told.contains(expected), "{text}\n  {told}\n  {expected}");
        }
    }

    #[test]
    fn no_text_is_too_deep_or_too_long_for_the_stack() {
        for text in ["(".repeat(16_000), "NOT ".repeat(4_000), "x".repeat(1 << 20)] {
            text.parse::<Condition>().unwrap_err();
        }
        let many = vec!["a=1"; 33].join(" OR ");
        assert!(many.parse::<Condition>().unwrap_err().to_string().contains("more than 32"));
    }
}
