//! The pages of codes: Markdown files, compiled in.

use crate::diag::Code;

/// The page of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The explanation.
    pub why: &'static str,
    /// An example that causes the diagnostic.
    pub wrong: Example,
    /// What to write instead.
    pub right: Example,
}

/// A block of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// The info string of the fence: `obert` for a whole recipe, `obert,in-recipe` for statements of one,
    /// `console` for commands.
    pub kind: &'static str,
    /// The code, without the fences.
    pub code: &'static str,
}

/// The page of a code; `None` if it has none or is malformed.
pub fn page(code: Code) -> Option<Page> {
    let name = code.to_string();
    let (_, text) = PAGES.iter().find(|(known, _)| *known == name)?;
    let (why, rest) = text.split_once("\n## Wrong\n")?;
    let (wrong, right) = rest.split_once("\n## Right\n")?;
    Some(Page { why: why.trim(), wrong: example(wrong)?, right: example(right)? })
}

fn example(section: &'static str) -> Option<Example> {
    let fenced = section.trim().strip_prefix("```")?.strip_suffix("```")?;
    let (kind, code) = fenced.split_once('\n')?;
    Some(Example { kind, code: code.trim_end() })
}

macro_rules! pages {
    ($($code:ident)*) => {
        &[$((stringify!($code), include_str!(concat!("pages/", stringify!($code), ".md"))),)*]
    };
}

/// The pages by the names of their codes.
const PAGES: &[(&str, &str)] = pages! {
    OB0001 OB0002 OB0003 OB0004
    OB0101 OB0102 OB0103 OB0104 OB0105 OB0106 OB0107 OB0108 OB0109
    OB0201 OB0202 OB0203 OB0204 OB0205 OB0206 OB0207 OB0208 OB0209 OB0210 OB0211 OB0212
    OB0213 OB0214 OB0215 OB0216 OB0217 OB0218 OB0219 OB0220 OB0221 OB0222 OB0223 OB0224
    OB0225 OB0226
    OB0301 OB0302 OB0303 OB0304 OB0305 OB0306 OB0307 OB0308 OB0309 OB0310 OB0311 OB0312
    OB0401 OB0402 OB0403 OB0404 OB0405 OB0406 OB0407 OB0408 OB0409
    OB0501 OB0502 OB0503 OB0504 OB0505
    OB0601 OB0602 OB0603 OB0604 OB0605 OB0606 OB0607 OB0608 OB0609 OB0610 OB0611 OB0612
    OB0613 OB0614 OB0615 OB0616 OB0617 OB0618 OB0619
    OB0701 OB0702 OB0703 OB0704 OB0705 OB0706 OB0707 OB0708 OB0709 OB0710 OB0711 OB0712
    OB0801 OB0802 OB0803 OB0804 OB0805 OB0806 OB0807 OB0808 OB0809 OB0810 OB0811 OB0812
    OB0813 OB0814 OB0815 OB0816 OB0817 OB0818 OB0819 OB0820 OB0821 OB0822 OB0823 OB0824
    OB0825 OB0826 OB0827
    OB0901 OB0902 OB0903 OB0904 OB0905 OB0906 OB0907 OB0908 OB0909 OB0910 OB0911 OB0912
    OB0913 OB0914 OB0915 OB0916 OB0917 OB0918 OB0919 OB0920 OB0921 OB0922 OB0923
    OB0924 OB0925 OB0926 OB0927 OB0928 OB0929 OB0930 OB0931 OB0932 OB0933 OB0935 OB0936
    OB0937 OB0938 OB0939 OB0940 OB0941 OB0942 OB0943 OB0944 OB0945 OB0946 OB0947 OB0948 OB0949 OB0950
    OB0951 OB0952 OB0953 OB0954 OB0955 OB0956 OB0957 OB0958
    OB0960 OB0961 OB0962 OB0963 OB0964 OB0965 OB0966 OB0967 OB0968 OB0969
    OB0970 OB0971 OB0972 OB0973 OB0974 OB0975 OB0976
    OB0980 OB0981 OB0982 OB0983 OB0984 OB0985 OB0986 OB0987 OB0988 OB0989
    OB0990 OB0991 OB0992 OB0993 OB0994 OB0995 OB0996 OB0997
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let codes: Vec<String> = Code::ALL.iter().map(Code::to_string).collect();
        let pages: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
        assert_eq!(pages, codes, "src/explain/pages.rs lists one page for each code, in order");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/explain/pages");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(files, codes, "src/explain/pages holds one file for each code");
    }

    #[test]
    fn every_page_says_why_then_what_is_wrong_then_what_is_right() {
        for code in Code::ALL {
            let page = page(*code).unwrap_or_else(|| panic!("the page of {code} cannot be read"));
            assert!(page.why.ends_with('.'), "{code}");
            assert!(page.why.split(". ").count() <= 4, "{code} takes too long to say why");
            // What YAML cannot say is answered by a command.
            let answered = page.wrong.kind == "yaml" && page.right.kind == "console";
            assert!(answered || page.wrong.kind == page.right.kind, "{code}");
            let kinds = ["obert", "obert,in-recipe", "console", "yaml", "markdown", "python"];
            assert!(kinds.contains(&page.wrong.kind), "{code}");
            assert_ne!(page.wrong.code, page.right.code, "{code}");
            let widest = page.why.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(102), "{code} has a line of {widest:?} columns");
        }
    }
}
