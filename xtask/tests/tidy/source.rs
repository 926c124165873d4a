//! Rust as the paths, attributes and `unsafe`s that stand in it.
//!
//! A path is a sequence of names joined by `::`, from a `use` (its braces unfolded) or from
//! anywhere else, macros included. Its first name is resolved through the file's own `use` lines
//! and through `self` and `super`, so that `Instant::now` becomes `std::time::Instant::now`.

use std::collections::HashMap;
use std::iter::Peekable;
use std::path::Path;

use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::checkout;

#[derive(Debug)]
pub(crate) struct UsedPath {
    pub(crate) line: usize,
    /// Resolved as far as the file itself tells.
    pub(crate) names: Vec<String>,
    /// Stands below `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

impl UsedPath {
    pub(crate) fn starts_with(&self, names: &[&str]) -> bool {
        self.names.len() >= names.len()
            && self
                .names
                .iter()
                .zip(names)
                .all(|(have, want)| have == want)
    }

    pub(crate) fn ends_with(&self, names: &[&str]) -> bool {
        self.names.len() >= names.len()
            && self.names[self.names.len() - names.len()..]
                .iter()
                .zip(names)
                .all(|(have, want)| have == want)
    }

    pub(crate) fn text(&self) -> String {
        self.names.join("::")
    }
}

/// A block, function or implementation that is marked `unsafe`.
#[derive(Debug)]
pub(crate) struct Unsafe {
    pub(crate) line: usize,
    /// Where the statement begins that it stands in.
    pub(crate) statement: usize,
}

#[derive(Debug)]
pub(crate) struct Rust {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) paths: Vec<UsedPath>,
    pub(crate) unsafes: Vec<Unsafe>,
    /// Names that stand in attributes, such as `ignore`, each with its line.
    pub(crate) attributes: Vec<(usize, String)>,
    /// Lines that stand in modules for tests.
    pub(crate) test_lines: usize,
}

/// Every Rust file of the checkout.
pub(crate) fn rust() -> Vec<Rust> {
    checkout::files()
        .into_iter()
        .filter(|file| {
            Path::new(&file.path)
                .extension()
                .is_some_and(|extension| extension == "rs")
        })
        .map(|file| parse(&file.path, &file.text))
        .collect()
}

pub(crate) fn parse(path: &str, text: &str) -> Rust {
    let tokens: TokenStream = text
        .parse()
        .unwrap_or_else(|error| panic!("{path} is not Rust: {error}"));
    let mut reader = Reader {
        module: module(path),
        ..Reader::default()
    };
    reader.read(tokens, checkout::is_test(path), true);
    let paths = reader
        .paths
        .iter()
        .map(|raw| UsedPath {
            line: raw.line,
            names: resolve(raw, &reader.names),
            in_test: raw.in_test,
        })
        .collect();
    Rust {
        path: path.to_owned(),
        text: text.to_owned(),
        paths,
        unsafes: reader.unsafes,
        attributes: reader.attributes,
        test_lines: reader.test_lines,
    }
}

/// The module that a file is: `agent/src/store/head.rs` is `crate::store::head`.
fn module(path: &str) -> Vec<String> {
    let inside = path
        .split_once("src/")
        .map_or("", |(_, inside)| inside)
        .trim_end_matches(".rs");
    std::iter::once("crate")
        .chain(
            inside
                .split('/')
                .filter(|name| !["", "lib", "main", "mod"].contains(name)),
        )
        .map(str::to_owned)
        .collect()
}

#[derive(Debug)]
struct RawPath {
    line: usize,
    names: Vec<String>,
    in_test: bool,
    module: Vec<String>,
    is_use: bool,
}

fn resolve(raw: &RawPath, uses: &HashMap<String, Vec<String>>) -> Vec<String> {
    let mut names = raw.names.clone();
    if !raw.is_use
        && let Some(full) = names.first().and_then(|first| uses.get(first))
    {
        names.splice(0..1, full.iter().cloned());
    }
    absolute(names, &raw.module)
}

/// Replaces leading `self` and `super` by the module they stand for.
fn absolute(names: Vec<String>, module: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut rest = names.as_slice();
    let mut is_relative = false;
    while let Some(first) = rest.first() {
        match first.as_str() {
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        is_relative = true;
        rest = &rest[1..];
    }
    if !is_relative {
        return names;
    }
    base.extend_from_slice(rest);
    base
}

#[derive(Debug, Default)]
struct Reader {
    module: Vec<String>,
    paths: Vec<RawPath>,
    /// What a name stands for, from the `use` lines.
    names: HashMap<String, Vec<String>>,
    unsafes: Vec<Unsafe>,
    attributes: Vec<(usize, String)>,
    test_lines: usize,
    /// The line in which the current statement, item or arm begins.
    statement: usize,
}

type Tokens = Peekable<IntoIter>;

impl Reader {
    /// Reads a file or a group; in a block, the first token begins a statement.
    fn read(&mut self, tokens: TokenStream, in_test: bool, is_block: bool) {
        let mut tokens = tokens.into_iter().peekable();
        let mut next_is_test = None;
        let outer = self.statement;
        let mut is_fresh = is_block;
        while let Some(token) = tokens.next() {
            let line = token.span().start().line;
            if is_fresh && !continues(&token) {
                self.statement = line;
            }
            is_fresh = is_block && ends_statement(&token) || is_fresh && is_punct(&token, "#");
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if self
                        .attribute(&mut tokens)
                        .is_some_and(|text| text == "cfg(test)")
                    {
                        next_is_test = Some(line);
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => next_is_test = None,
                TokenTree::Group(group) => {
                    let is_block = group.delimiter() == Delimiter::Brace;
                    if let Some(start) = next_is_test.filter(|_| is_block && !in_test) {
                        self.test_lines += group.span().end().line + 1 - start;
                    }
                    self.read(group.stream(), in_test || next_is_test.is_some(), is_block);
                    if is_block {
                        next_is_test = None;
                    }
                }
                TokenTree::Ident(ident) => {
                    let for_test = in_test || next_is_test.is_some();
                    match ident.to_string().as_str() {
                        "use" => self.usage(&mut tokens, Vec::new(), for_test),
                        "mod" => {
                            self.inline_module(&mut tokens, &mut next_is_test, in_test);
                            is_fresh = is_block;
                        }
                        "unsafe" => self.mark_unsafe(line, &tokens),
                        name => self.path(line, name.to_owned(), &mut tokens, for_test),
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        self.statement = outer;
    }

    /// Skips an attribute and returns its text without spaces.
    fn attribute(&mut self, tokens: &mut Tokens) -> Option<String> {
        tokens.next_if(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '!'));
        let TokenTree::Group(group) =
            tokens.next_if(|token| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket))?
        else {
            return None;
        };
        let line = group.span().start().line;
        if let Some(TokenTree::Ident(name)) = group.stream().into_iter().next() {
            self.attributes.push((line, name.to_string()));
        }
        Some(group.stream().to_string().replace(char::is_whitespace, ""))
    }

    fn inline_module(
        &mut self,
        tokens: &mut Tokens,
        next_is_test: &mut Option<usize>,
        in_test: bool,
    ) {
        let Some(TokenTree::Ident(name)) = tokens.next() else {
            return;
        };
        let Some(TokenTree::Group(group)) =
            tokens.next_if(|token| matches!(token, TokenTree::Group(_)))
        else {
            return;
        };
        let start = next_is_test.take();
        if let Some(start) = start.filter(|_| !in_test) {
            self.test_lines += group.span().end().line + 1 - start;
        }
        self.module.push(name.to_string());
        self.read(group.stream(), in_test || start.is_some(), true);
        self.module.pop();
    }

    /// A function pointer's type and `#[unsafe(…)]` promise nothing and need no reason.
    fn mark_unsafe(&mut self, line: usize, tokens: &Tokens) {
        let next: Vec<TokenTree> = tokens.clone().take(4).collect();
        let word = |at: usize| match next.get(at) {
            Some(TokenTree::Ident(ident)) => ident.to_string(),
            _ => String::new(),
        };
        let is_group = |at: usize, delimiter| matches!(next.get(at), Some(TokenTree::Group(group)) if group.delimiter() == delimiter);
        let function = (0..3).find(|&at| word(at) == "fn");
        let is_pointer = function.is_some_and(|at| is_group(at + 1, Delimiter::Parenthesis));
        if !is_pointer && !is_group(0, Delimiter::Parenthesis) {
            let statement = self.statement;
            self.unsafes.push(Unsafe { line, statement });
        }
    }

    /// Reads the tree of a `use` behind what has been read of it.
    fn usage(&mut self, tokens: &mut Tokens, mut names: Vec<String>, in_test: bool) {
        let mut line = 0;
        while let Some(token) = tokens.peek() {
            match token {
                TokenTree::Ident(ident) if ident == "as" => {
                    tokens.next();
                    if let Some(TokenTree::Ident(alias)) = tokens.next() {
                        self.names.insert(alias.to_string(), names.clone());
                    }
                }
                TokenTree::Ident(ident) => {
                    line = ident.span().start().line;
                    names.push(ident.to_string());
                    tokens.next();
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    tokens.next();
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    line = punct.span().start().line;
                    names.push("*".to_owned());
                    tokens.next();
                }
                TokenTree::Group(group) => {
                    let group = group.clone();
                    tokens.next();
                    return self.usages(&group, &names, in_test);
                }
                _ => break,
            }
        }
        if names.len() > 1 && names.last().is_some_and(|last| last == "self") {
            names.pop();
        }
        if let Some(last) = names.last().filter(|last| *last != "*") {
            let full = absolute(names.clone(), &self.module);
            self.names.insert(last.clone(), full);
        }
        if !names.is_empty() {
            self.push(line, names, in_test, true);
        }
    }

    fn usages(&mut self, group: &Group, names: &[String], in_test: bool) {
        let mut tokens = group.stream().into_iter().peekable();
        while tokens.peek().is_some() {
            self.usage(&mut tokens, names.to_vec(), in_test);
            // The comma between two branches.
            tokens.next();
        }
    }

    /// Reads `a::b::c` from its first name on; a single name is no path.
    fn path(&mut self, line: usize, first: String, tokens: &mut Tokens, in_test: bool) {
        let mut names = vec![first];
        loop {
            let mut ahead = tokens.clone();
            let is_colon = |token: Option<TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
            if !is_colon(ahead.next()) || !is_colon(ahead.next()) {
                break;
            }
            let Some(TokenTree::Ident(name)) = ahead.next() else {
                break;
            };
            names.push(name.to_string());
            *tokens = ahead;
        }
        if names.len() > 1 {
            self.push(line, names, in_test, false);
        }
    }

    fn push(&mut self, line: usize, names: Vec<String>, in_test: bool, is_use: bool) {
        let module = self.module.clone();
        self.paths.push(RawPath {
            line,
            names,
            in_test,
            module,
            is_use,
        });
    }
}

fn is_punct(token: &TokenTree, marks: &str) -> bool {
    matches!(token, TokenTree::Punct(punct) if marks.contains(punct.as_char()))
}

fn ends_statement(token: &TokenTree) -> bool {
    is_punct(token, ";,")
        || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

/// A closing brace does not end a statement that goes on: `let A { b } = c`, `match d {}.e()`.
fn continues(token: &TokenTree) -> bool {
    is_punct(token, "=.?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, text: &str) -> Vec<String> {
        parse(path, text).paths.iter().map(UsedPath::text).collect()
    }

    #[test]
    fn the_tree_of_a_use_is_unfolded() {
        let text = "use a::{b, c::{self, d as e}, f::*}; pub(crate) use ::g;";
        assert_eq!(
            texts("x.rs", text),
            ["a::b", "a::c", "a::c::d", "a::f::*", "g"]
        );
    }

    #[test]
    fn names_are_resolved_through_the_uses() {
        let text =
            "use std::time::{self, Instant as Now}; fn f() { Now::now(); time::Instant::now(); }";
        assert_eq!(
            texts("x.rs", text)[2..],
            [
                "std::time::Instant::now".to_owned(),
                "std::time::Instant::now".to_owned()
            ]
        );
    }

    #[test]
    fn relative_paths_become_absolute() {
        let text = "use super::seal; fn f() { super::super::jobs::g(); self::h::i(); } mod m { use super::k; }";
        assert_eq!(
            texts("agent/src/store/head.rs", text),
            [
                "crate::store::seal",
                "crate::jobs::g",
                "crate::store::head::h::i",
                "crate::store::head::k"
            ]
        );
    }

    #[test]
    fn comments_and_strings_hold_no_paths_and_macros_do() {
        let text = "/// a::b\nfn f() { g(\"c::d\"); println!(\"{}\", e::f()); } // h::i";
        assert_eq!(texts("x.rs", text), ["e::f"]);
    }

    #[test]
    fn code_for_tests_is_told_apart_and_counted() {
        let rust = parse(
            "x.rs",
            "use a::b;\n#[cfg(test)]\nmod tests {\n    use c::d;\n}\nuse e::f;\n",
        );
        let in_test: Vec<bool> = rust.paths.iter().map(|path| path.in_test).collect();
        assert_eq!(in_test, [false, true, false]);
        assert_eq!(rust.test_lines, 4);
    }
}
