//! Tag expressions in the syntax of pytest's `-m`: `not slow and (model or breaker)`.
//!
//! `not` binds tightest, then `and`, then `or`. A word matches the tests that have this word as a
//! tag.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A parsed tag expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TagExpr {
    Tag(String),
    Not(Box<TagExpr>),
    All(Vec<TagExpr>),
    Any(Vec<TagExpr>),
}

impl TagExpr {
    /// Whether the expression matches a test with these tags.
    pub(crate) fn matches(&self, tags: &[&str]) -> bool {
        match self {
            Self::Tag(tag) => tags.contains(&tag.as_str()),
            Self::Not(inner) => !inner.matches(tags),
            Self::All(terms) => terms.iter().all(|term| term.matches(tags)),
            Self::Any(terms) => terms.iter().any(|term| term.matches(tags)),
        }
    }

    /// Returns every tag in the expression.
    pub(crate) fn tags(&self) -> BTreeSet<&str> {
        match self {
            Self::Tag(tag) => BTreeSet::from([tag.as_str()]),
            Self::Not(inner) => inner.tags(),
            Self::All(terms) | Self::Any(terms) => terms.iter().flat_map(Self::tags).collect(),
        }
    }
}

/// A syntax error of a tag expression, with the column of the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagExprError {
    expected: &'static str,
    found: String,
    column: usize,
}

impl fmt::Display for TagExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected {}, found {} at column {}; an expression looks like `not slow and (model or breaker)`",
            self.expected, self.found, self.column
        )
    }
}

impl std::error::Error for TagExprError {}

impl FromStr for TagExpr {
    type Err = TagExprError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            next: 0,
            depth: 0,
        };
        let tag_expr = parser.disjunction()?;
        match parser.peek() {
            Token::End => Ok(tag_expr),
            _ => Err(parser.unexpected("`and`, `or` or the end")),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Not,
    And,
    Or,
    Open,
    Close,
    End,
}

/// Splits `text` into tokens. Each token has the column of its first character, counted from 1. The
/// last token is [`Token::End`].
fn tokens(text: &str) -> Result<Vec<(Token, usize)>, TagExprError> {
    let mut tokens = Vec::new();
    let mut characters = text.chars().zip(1..).peekable();
    while let Some((character, column)) = characters.next() {
        let token = match character {
            ' ' | '\t' => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            c if is_word(c) => {
                let mut word = String::from(c);
                while let Some((c, _)) = characters.next_if(|(c, _)| is_word(*c)) {
                    word.push(c);
                }
                match word.as_str() {
                    "not" => Token::Not,
                    "and" => Token::And,
                    "or" => Token::Or,
                    _ => Token::Word(word),
                }
            }
            other => {
                return Err(TagExprError {
                    expected: "a tag, `not`, `and`, `or` or a parenthesis",
                    found: format!("`{other}`"),
                    column,
                });
            }
        };
        tokens.push((token, column));
    }
    tokens.push((Token::End, text.chars().count() + 1));
    Ok(tokens)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The largest nesting depth of parentheses and `not`. A deeper expression could overflow the
/// stack.
const MAX_DEPTH: usize = 64;

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn disjunction(&mut self) -> Result<TagExpr, TagExprError> {
        let mut terms = vec![self.conjunction()?];
        while self.take(&Token::Or) {
            terms.push(self.conjunction()?);
        }
        Ok(TagExpr::Any(terms))
    }

    fn conjunction(&mut self) -> Result<TagExpr, TagExprError> {
        let mut terms = vec![self.negation()?];
        while self.take(&Token::And) {
            terms.push(self.negation()?);
        }
        Ok(TagExpr::All(terms))
    }

    fn negation(&mut self) -> Result<TagExpr, TagExprError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.unexpected("at most 64 levels of nesting"));
        }
        let tag_expr = if self.take(&Token::Not) {
            TagExpr::Not(Box::new(self.negation()?))
        } else if self.take(&Token::Open) {
            let inner = self.disjunction()?;
            if !self.take(&Token::Close) {
                return Err(self.unexpected("`)`"));
            }
            inner
        } else if let Token::Word(word) = self.peek().clone() {
            self.next += 1;
            TagExpr::Tag(word)
        } else {
            return Err(self.unexpected("a tag, `not` or `(`"));
        };
        self.depth -= 1;
        Ok(tag_expr)
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn take(&mut self, token: &Token) -> bool {
        let taken = self.peek() == token;
        // `End` is never taken, so `next` stays within `tokens`.
        self.next += usize::from(taken);
        taken
    }

    fn unexpected(&self, expected: &'static str) -> TagExprError {
        let (token, column) = &self.tokens[self.next];
        let found = match token {
            Token::Word(word) => format!("`{word}`"),
            Token::Not => "`not`".to_owned(),
            Token::And => "`and`".to_owned(),
            Token::Or => "`or`".to_owned(),
            Token::Open => "`(`".to_owned(),
            Token::Close => "`)`".to_owned(),
            Token::End => "the end".to_owned(),
        };
        TagExprError {
            expected,
            found,
            column: *column,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(expression: &str, tags: &[&str]) -> bool {
        expression.parse::<TagExpr>().unwrap().matches(tags)
    }

    #[test]
    fn expression_not_binds_tightest_and_or_loosest() {
        assert!(holds("not slow and breaker", &["breaker"]));
        assert!(!holds("not slow and breaker", &["slow", "breaker"]));
        assert!(holds("a or b and c", &["a"]));
        assert!(!holds("(a or b) and c", &["a"]));
        assert!(holds("not (a or b)", &["c"]));
        assert!(holds("not not a", &["a"]));
    }

    #[test]
    fn syntax_error_names_expected_and_found_token_and_column() {
        let error = |expression: &str| expression.parse::<TagExpr>().unwrap_err().to_string();
        assert!(error("").starts_with("expected a tag, `not` or `(`, found the end at column 1"));
        assert!(error("a b").starts_with("expected `and`, `or` or the end, found `b` at column 3"));
        assert!(error("(a").starts_with("expected `)`, found the end at column 3"));
        assert!(error("a and").starts_with("expected a tag, `not` or `(`, found the end"));
        assert!(error("a & b").contains("found `&` at column 3"));
    }

    #[test]
    fn expression_nested_too_deeply_is_an_error() {
        let deep = "(".repeat(100_000);
        assert!(deep.parse::<TagExpr>().is_err());
        let wide = vec!["a"; 10_000].join(" or ");
        assert!(wide.parse::<TagExpr>().is_ok());
    }

    #[test]
    fn tags_lists_every_tag_of_the_expression() {
        let tag_expr: TagExpr = "not slow and (model or breaker)".parse().unwrap();
        assert_eq!(
            tag_expr.tags().into_iter().collect::<Vec<_>>(),
            ["breaker", "model", "slow"]
        );
    }
}
