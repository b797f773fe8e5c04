//! What plain full text reaches: FTS5 as it comes, BM25, its Porter stemmer, any of the question's
//! content words.

use std::time::{Duration, Instant};

use libsql::{Builder, Connection, params};
use memory_core::recall::terms::is_stop_word;

use super::figures::DEPTH;
use super::items::Group;

/// The table of one group, in memory.
pub struct Plain {
    connection: Connection,
}

impl Plain {
    /// Indexes the items of a group.
    pub async fn index(group: &Group) -> libsql::Result<Self> {
        let connection = Builder::new_local(":memory:").build().await?.connect()?;
        let create = "CREATE VIRTUAL TABLE items USING fts5 (text, tokenize = 'porter unicode61')";
        connection.execute(create, ()).await?;
        let transaction = connection.transaction().await?;
        for (row, item) in group.items.iter().enumerate() {
            let insert = "INSERT INTO items (rowid, text) VALUES (?1, ?2)";
            transaction.execute(insert, params![row as i64, item.text.as_str()]).await?;
        }
        transaction.commit().await?;
        Ok(Plain { connection })
    }

    /// Places of items in their group, best first, and how long it took.
    pub async fn search(&self, query: &str) -> libsql::Result<(Vec<usize>, Duration)> {
        let begun = Instant::now();
        let expression = any_content_word(query);
        if expression.is_empty() {
            return Ok((Vec::new(), begun.elapsed()));
        }
        let sql =
            "SELECT rowid FROM items WHERE items MATCH ?1 ORDER BY bm25(items), rowid LIMIT ?2";
        let mut rows = self.connection.query(sql, params![expression, DEPTH as i64]).await?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().await? {
            found.extend(usize::try_from(row.get::<i64>(0)?));
        }
        Ok((found, begun.elapsed()))
    }
}

/// The words that are no function words, quoted, with OR between them; all words where there are
/// no others.
fn any_content_word(query: &str) -> String {
    let words = query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    // What an apostrophe leaves behind is no word.
    let words: Vec<String> =
        words.map(str::to_lowercase).filter(|w| w != "s" && w != "t").collect();
    let content: Vec<&String> = words.iter().filter(|word| !is_stop_word(word)).collect();
    let chosen = if content.is_empty() { words.iter().collect() } else { content };
    let quoted: Vec<String> = chosen.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(" OR ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_becomes_any_of_its_content_words() {
        assert_eq!(any_content_word("What's Leo's dog?"), "\"leo\" OR \"dog\"");
        assert_eq!(any_content_word("Who are you?"), "\"who\" OR \"are\" OR \"you\"");
        assert_eq!(any_content_word("?!"), "");
    }
}
