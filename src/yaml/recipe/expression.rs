//! Parses and evaluates the arithmetic in `eval(…)`, with Python's rules.

use super::datum::Number;

/// The functions that SparseML's evaluator knows.
pub(crate) const FUNCTIONS: [&str; 6] = ["abs", "float", "int", "max", "min", "round"];

/// The deepest nesting of an expression.
const MAX_DEPTH: usize = 64;

/// Evaluates an expression. `variable` returns the value of a name.
///
/// # Errors
/// A message for the user.
pub(crate) fn evaluate(
    text: &str,
    variable: &mut dyn FnMut(&str) -> Result<Number, String>,
) -> Result<Number, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, next: 0, depth: 0, variable };
    let value = parser.sum()?;
    match parser.peek() {
        None => Ok(value),
        Some(token) => Err(format!("`{}` does not fit here", token.shown())),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(Number),
    Name(String),
    Sign(&'static str),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Token::Number(n) => n.text.clone(),
            Token::Name(name) => name.clone(),
            Token::Sign(sign) => (*sign).to_owned(),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    const SIGNS: [&str; 10] = ["**", "//", "+", "-", "*", "/", "%", "(", ")", ","];
    let mut list = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |more: fn(char) -> bool| rest.find(|c: char| !more(c)).unwrap_or(rest.len());
        let length = if first.is_ascii_digit() || first == '.' {
            let mut end = word(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
            if rest[..end].ends_with(['e', 'E']) && rest[end..].starts_with(['+', '-']) {
                let digits = rest[end + 1..].find(|c: char| !c.is_ascii_digit());
                end = digits.map_or(rest.len(), |d| end + 1 + d);
            }
            let written = &rest[..end];
            let plain = written.replace('_', "");
            let value: f64 = plain.parse().map_err(|_| format!("`{written}` is not a number"))?;
            let whole = plain.bytes().all(|b| b.is_ascii_digit());
            let text = crate::yaml::reader::scalar::decimal(written);
            let text = text.unwrap_or_else(|| Number::computed(value, whole).text);
            list.push(Token::Number(Number { value, whole, text }));
            end
        } else if first.is_alphabetic() || first == '_' {
            let end = word(|c| c.is_alphanumeric() || c == '_');
            list.push(Token::Name(rest[..end].to_owned()));
            end
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            list.push(Token::Sign(sign));
            sign.len()
        } else {
            return Err(format!("`{first}` is not allowed in an expression"));
        };
        rest = rest[length..].trim_start();
    }
    Ok(list)
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    variable: &'a mut dyn FnMut(&str) -> Result<Number, String>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let Some(Token::Sign(sign)) = self.peek() else { return None };
        let found = signs.iter().find(|s| *s == sign).copied();
        self.next += usize::from(found.is_some());
        found
    }

    fn sum(&mut self) -> Result<Number, String> {
        let mut left = self.product()?;
        while let Some(sign) = self.sign(&["+", "-"]) {
            let right = self.product()?;
            left = finite_number(if sign == "+" { left.plus(&right) } else { left.minus(&right) })?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Number, String> {
        let mut left = self.unary()?;
        while let Some(sign) = self.sign(&["*", "//", "/", "%"]) {
            let right = self.unary()?;
            if sign != "*" && right.value == 0.0 {
                return Err("division by zero".into());
            }
            left = match sign {
                "*" => finite_number(left.times(&right))?,
                "/" => finite_number(left.over(&right))?,
                "//" => number(&left, &right, |a, b| (a / b).floor())?,
                _ => number(&left, &right, |a, b| a - b * (a / b).floor())?,
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Number, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the nesting is too deep".into());
        }
        let value = match self.sign(&["-", "+"]) {
            Some("-") => {
                let inner = self.unary()?;
                finite_number(Number::computed(0.0, true).minus(&inner))
            }
            Some(_) => self.unary(),
            None => self.power(),
        };
        self.depth -= 1;
        value
    }

    fn power(&mut self) -> Result<Number, String> {
        let base = self.primary()?;
        if self.sign(&["**"]).is_none() {
            return Ok(base);
        }
        let exponent = self.unary()?;
        let whole = base.whole && exponent.whole && exponent.value >= 0.0;
        finite(base.value.powf(exponent.value), whole)
    }

    fn primary(&mut self) -> Result<Number, String> {
        let Some(token) = self.peek().cloned() else { return Err("an operand is missing".into()) };
        self.next += 1;
        match token {
            Token::Number(number) => Ok(number),
            Token::Name(name) if self.sign(&["("]).is_some() => self.call(&name),
            Token::Name(name) => (self.variable)(&name),
            Token::Sign("(") => {
                let value = self.sum()?;
                self.sign(&[")"]).map(|_| value).ok_or_else(|| "a `)` is missing".into())
            }
            other => Err(format!("`{}` does not fit here", other.shown())),
        }
    }

    fn call(&mut self, name: &str) -> Result<Number, String> {
        if !FUNCTIONS.contains(&name) {
            return Err(format!("unknown function `{name}`"));
        }
        let mut arguments = Vec::new();
        while self.sign(&[")"]).is_none() {
            arguments.push(self.sum()?);
            if self.sign(&[","]).is_none() && self.peek() != Some(&Token::Sign(")")) {
                return Err(format!("a `)` is missing after `{name}(`"));
            }
        }
        let Some(first) = arguments.first().cloned() else { return Err(format!("`{name}` needs a number")) };
        let best = |better: fn(f64, f64) -> bool| {
            arguments
                .iter()
                .skip(1)
                .fold(first.clone(), |best, n| if better(n.value, best.value) { n.clone() } else { best })
        };
        match (name, arguments.as_slice()) {
            ("max", _) => Ok(best(|a, b| a > b)),
            ("min", _) => Ok(best(|a, b| a < b)),
            ("abs", [_]) => finite(first.value.abs(), first.whole),
            ("float", [_]) => Ok(Number { whole: false, ..first }),
            ("int", [_]) => finite(first.value.trunc(), true),
            ("round", [_]) => finite(first.value.round_ties_even(), true),
            ("round", [_, places]) if places.whole && places.value.abs() < 300.0 => {
                let scale = 10f64.powf(places.value);
                finite((first.value * scale).round_ties_even() / scale, first.whole)
            }
            _ => Err(format!("`{name}` takes one number, not {}", arguments.len())),
        }
    }
}

fn number(a: &Number, b: &Number, apply: fn(f64, f64) -> f64) -> Result<Number, String> {
    finite(apply(a.value, b.value), a.whole && b.whole)
}

fn finite_number(number: Number) -> Result<Number, String> {
    if number.value.is_finite() { Ok(number) } else { finite(number.value, number.whole) }
}

fn finite(value: f64, whole: bool) -> Result<Number, String> {
    if value.is_finite() {
        Ok(Number::computed(value, whole))
    } else {
        Err("the result is not a finite number".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<f64, String> {
        evaluate(text, &mut |name| match name {
            "n" => Ok(Number::computed(3.0, true)),
            other => Err(format!("unknown name `{other}`")),
        })
        .map(|n| n.value)
    }

    #[test]
    fn arithmetic_is_pythons() {
        let cases = [
            ("n * 0.25", 0.75),
            ("max(1.0 / 10 ** 6, 0.0)", 1e-6),
            ("-7 // 2", -4.0),
            ("-7 % 3", 2.0),
            ("2 ** 3 ** 2", 512.0),
            ("-2 ** 2", -4.0),
            ("round(2.5)", 2.0),
            ("int(2.9) + abs(-1)", 3.0),
            ("1e-3 * (n + 1)", 0.004),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn results_are_written_as_the_decimals_that_they_are() {
        let text = |text: &str| {
            let known = |name: &str| Err(format!("unknown name `{name}`"));
            evaluate(text, &mut { known }).map(|n| (n.value, n.text))
        };
        assert_eq!(text("0.1 * 3"), Ok((0.30000000000000004, "0.3".into())));
        assert_eq!(text("1e-5 * 1.1"), Ok((1.1000000000000001e-5, "1.1e-5".into())));
        assert_eq!(text("-0.3 + 0.1"), Ok((-0.3 + 0.1, "-0.2".into())));
        assert_eq!(text("1 / 3"), Ok((1.0 / 3.0, "0.3333333333333333".into())));
        assert_eq!(text("int(0.29 * 100)"), Ok((28.0, "28".into())), "Python's double decides");
    }

    #[test]
    fn what_cannot_be_evaluated_is_said() {
        let cases = [
            ("sqrt(4)", "unknown function"),
            ("1 +", "missing"),
            ("1 / 0", "zero"),
            ("m", "unknown name"),
            ("1 < 2", "not allowed"),
        ];
        for (text, expected) in cases {
            let error = value(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(value(&"(".repeat(5000)).unwrap_err().contains("deep"));
        assert!(value("9 ** 9 ** 9").is_err());
    }
}
