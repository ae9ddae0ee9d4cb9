//! TOML of which every value knows its line.
//!
//! A table is opened with the names of all the fields that it may have: any other is refused at
//! once, with the nearest right name, before something else is missed for its sake.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{FileError, instead};

/// A TOML file that was read.
pub struct Document<'t> {
    file: &'t str,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

/// A table of a document. All its fields are known ones.
pub struct Table<'d> {
    document: &'d Document<'d>,
    table: &'d DeTable<'d>,
    span: Range<usize>,
    /// How errors speak of it: `class 2`; empty for the file itself.
    name: String,
}

/// A value of a document, and what it is called.
#[derive(Clone)]
pub struct Field<'d> {
    document: &'d Document<'d>,
    value: &'d Spanned<DeValue<'d>>,
    name: String,
}

impl<'t> Document<'t> {
    /// Reads TOML; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// It isn't TOML.
    pub fn parse(file: &'t str, text: &'t str) -> Result<Self, FileError> {
        let root = DeTable::parse(text).map_err(|error| {
            let message = format!("this is no TOML: {}", error.message());
            match error.span() {
                Some(span) => FileError::at(file, text, span, message),
                None => FileError::new(file, message),
            }
        })?;
        Ok(Document { file, text, root })
    }

    /// Whether the outermost table has that field, whatever else it has.
    pub fn has(&self, name: &str) -> bool {
        self.root.get_ref().get(name).is_some()
    }

    /// The outermost table, which may have these fields.
    ///
    /// # Errors
    ///
    /// It has another.
    pub fn root(&self, known: &[&str]) -> Result<Table<'_>, FileError> {
        Table::open(self, self.root.get_ref(), 0..0, String::new(), known)
    }
}

impl<'d> Table<'d> {
    fn open(
        document: &'d Document<'d>,
        table: &'d DeTable<'d>,
        span: Range<usize>,
        name: String,
        known: &[&str],
    ) -> Result<Self, FileError> {
        for key in table.keys() {
            let written: &str = key.get_ref();
            if !known.contains(&written) {
                let whose = if name.is_empty() {
                    String::new()
                } else {
                    format!("{name}: ")
                };
                let message = format!(
                    "{whose}no field is called {written:?}; {}",
                    instead(written, known)
                );
                return Err(FileError::at(
                    document.file,
                    document.text,
                    key.span(),
                    message,
                ));
            }
        }
        Ok(Table {
            document,
            table,
            span,
            name,
        })
    }

    /// The field of that name, if the table has it.
    pub fn get(&self, name: &str) -> Option<Field<'d>> {
        self.table.get(name).map(|value| Field {
            document: self.document,
            value,
            name: if self.name.is_empty() {
                name.to_owned()
            } else {
                format!("{}, {name}", self.name)
            },
        })
    }

    /// The field of that name. `example` is what an error says would be right.
    ///
    /// # Errors
    ///
    /// The table doesn't have it.
    pub fn require(&self, name: &str, example: &str) -> Result<Field<'d>, FileError> {
        let missing = || self.error(format!("{name} is missing; for example: {example}"));
        self.get(name).ok_or_else(missing)
    }

    /// An error about the table as a whole.
    pub fn error(&self, message: impl Display) -> FileError {
        let (file, text) = (self.document.file, self.document.text);
        if self.name.is_empty() {
            FileError::new(file, message.to_string())
        } else {
            let message = format!("{}: {message}", self.name);
            FileError::at(file, text, self.span.clone(), message)
        }
    }

    /// All fields with their names, for a table whose names are the reader's own.
    pub fn fields(&self) -> impl Iterator<Item = (&'d str, Field<'d>)> + '_ {
        self.table
            .keys()
            .map(|key| &**key.get_ref())
            .filter_map(|name| Some((name, self.get(name)?)))
    }
}

impl<'d> Field<'d> {
    /// An error about this value.
    pub fn error(&self, message: impl Display) -> FileError {
        let document = self.document;
        let message = format!("{}: {message}", self.name);
        FileError::at(document.file, document.text, self.value.span(), message)
    }

    fn other_type(&self, right: &str) -> FileError {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("this is {found}, and should be {right}"))
    }

    /// Text.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn text(&self) -> Result<&'d str, FileError> {
        let right = || self.other_type("a text in quotes");
        self.value.get_ref().as_str().ok_or_else(right)
    }

    /// Text that is read as something else.
    ///
    /// # Errors
    ///
    /// It isn't text, or names nothing.
    pub fn parse<T: FromStr<Err: Display>>(&self) -> Result<T, FileError> {
        self.text()?.parse().map_err(|error| self.error(error))
    }

    /// Whether the value is text.
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// A finite number.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn number(&self) -> Result<f64, FileError> {
        let number: f64 = match self.value.get_ref() {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_err(|_| self.error("this number is too large"))?
                as f64,
            DeValue::Float(float) => float
                .as_str()
                .parse()
                .map_err(|_| self.other_type("a number"))?,
            _ => return Err(self.other_type("a number")),
        };
        if !number.is_finite() {
            return Err(self.error("a number must be finite"));
        }
        Ok(number)
    }

    /// A share of a whole: a number from 0 to 1.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn share(&self) -> Result<f64, FileError> {
        let number = self.number()?;
        if (0.0..=1.0).contains(&number) {
            return Ok(number);
        }
        let hint = if number > 1.0 && number <= 100.0 {
            format!("; {number} % is {}", number / 100.0)
        } else {
            String::new()
        };
        Err(self.error(format!("a share is from 0 to 1, not {number}{hint}")))
    }

    /// A weight: a number that isn't negative.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn weight(&self) -> Result<f64, FileError> {
        let number = self.number()?;
        if number < 0.0 {
            return Err(self.error(format!("a weight is 0 or more, not {number}")));
        }
        Ok(number)
    }

    /// True or false.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn flag(&self) -> Result<bool, FileError> {
        let right = || self.other_type("true or false, without quotes");
        self.value.get_ref().as_bool().ok_or_else(right)
    }

    /// The entries of a list, each called by its number.
    ///
    /// # Errors
    ///
    /// It isn't a list.
    pub fn list(&self) -> Result<Vec<Field<'d>>, FileError> {
        let array = self.value.get_ref().as_array();
        let array = array.ok_or_else(|| self.other_type("a list in square brackets"))?;
        let entries = array.iter().enumerate().map(|(place, value)| Field {
            document: self.document,
            value,
            name: format!("{} {}", self.name, place + 1),
        });
        Ok(entries.collect())
    }

    /// A table, which may have these fields.
    ///
    /// # Errors
    ///
    /// It isn't a table, or has another field.
    pub fn table(&self, known: &[&str]) -> Result<Table<'d>, FileError> {
        let table = self.value.get_ref().as_table();
        let table = table.ok_or_else(|| self.other_type("a table"))?;
        let (span, name) = (self.value.span(), self.name.clone());
        Table::open(self.document, table, span, name, known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, read: impl Fn(&Table<'_>) -> Result<(), FileError>) -> String {
        let document = Document::parse("f.toml", text).unwrap();
        let table = document.root(&["share", "class"]);
        table
            .and_then(|table| read(&table))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_misspelt_field_is_named_with_what_was_meant() {
        let error = refused("shaer = 1\n", |_| Ok(()));
        assert!(error.contains("line 1"), "{error}");
        assert!(error.contains("did you mean \"share\"?"), "{error}");
        let error = refused("\ncolour = 1\n", |_| Ok(()));
        assert!(error.contains("there are share, class"), "{error}");
    }

    #[test]
    fn what_a_share_is_and_is_not() {
        let read = |table: &Table<'_>| table.require("share", "share = 0.1")?.share().map(drop);
        for (text, part) in [
            ("share = 2", "2 % is 0.02"),
            ("share = -0.5", "not -0.5"),
            ("share = nan", "finite"),
            ("share = inf", "finite"),
            ("share = 99999999999999999999", "too large"),
            ("share = \"1\"", "this is a text, and should be a number"),
            ("share = 2020-01-01", "this is a date"),
            ("class = 3", "share is missing; for example: share = 0.1"),
        ] {
            let error = refused(text, read);
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in ["share = 1", "share = 0.5", "share = 0x1", "share = 0e3"] {
            let document = Document::parse("f.toml", text).unwrap();
            read(&document.root(&["share"]).unwrap()).unwrap();
        }
    }

    #[test]
    fn entries_of_lists_are_called_by_their_number() {
        let read = |table: &Table<'_>| {
            for class in table.require("class", "[[class]]")?.list()? {
                class.table(&["share"])?.require("share", "share = 1")?;
            }
            Ok(())
        };
        let error = refused("[[class]]\nshare = 1\n[[class]]\n", read);
        assert!(
            error.contains("line 3: class 2: share is missing"),
            "{error}"
        );
        let error = refused("class = [{share = 1}, 7]", read);
        assert!(error.contains("class 2: this is a number"), "{error}");
    }

    #[test]
    fn what_is_no_toml_is_said_with_its_line() {
        for text in [
            "share = 1\nshare = 2\n",
            "share = 1\n= 2\n",
            "share = 1\n[class\n",
        ] {
            let error = Document::parse("f.toml", text).err().unwrap();
            assert_eq!(error.line(), Some(2), "{error}");
        }
        let deep = format!("share = {}1{}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(Document::parse("f.toml", &deep).is_err());
    }
}
