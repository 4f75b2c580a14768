//! The header: which column is which, in any order, in English or Japanese.

use unicode_normalization::UnicodeNormalization as _;

use super::RowProblem;

/// Columns that must be there, with the names that they have as well.
const COLUMNS: [(&str, &[&str]); 9] = [
    ("user_id", &["ユーザーid", "ユーザid", "社員番号"]),
    ("name", &["名前", "氏名"]),
    ("email", &["メールアドレス", "メール"]),
    ("department", &["部署", "部署名", "部署コード"]),
    ("job_title", &["役職", "役職名", "役職コード"]),
    ("phone", &["電話番号", "電話"]),
    ("start_date", &["利用開始日"]),
    ("end_date", &["利用終了日"]),
    ("status", &["アカウントステータス", "ステータス", "状態"]),
];
/// A column that may be there: the account's object id.
pub(super) const OBJECT_ID: &str = "object_id";

/// The columns that every file has, in their usual order.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.into_iter().map(|(column, _)| column)
}

/// Which column of ours each column of the file is.
pub(super) fn of(header: &csv::StringRecord) -> Result<Vec<&'static str>, Vec<RowProblem>> {
    let mut problems = Vec::new();
    let mut columns: Vec<&'static str> = Vec::new();
    for name in header {
        match known(name) {
            Some(column) if columns.contains(&column) => {
                let reason = format!("column `{column}` is there twice");
                problems.push(RowProblem::of_line(1, reason));
            }
            Some(column) => columns.push(column),
            None => problems.push(RowProblem::of_line(1, unknown(name))),
        }
    }
    for column in names().filter(|column| !columns.contains(column)) {
        let reason = format!("column `{column}` is missing");
        problems.push(RowProblem::of_line(1, reason));
    }
    if problems.is_empty() {
        Ok(columns)
    } else {
        Err(problems)
    }
}

fn known(name: &str) -> Option<&'static str> {
    let name: String = name.trim().nfkc().collect();
    let name = name.to_lowercase();
    let name = name.strip_suffix("(必須)").unwrap_or(&name);
    if name == OBJECT_ID {
        return Some(OBJECT_ID);
    }
    let mut columns = COLUMNS.into_iter();
    let found = columns.find(|(column, others)| *column == name || others.contains(&name));
    found.map(|(column, _)| column)
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = names().collect();
    let known = known.join(", ");
    let visible = name.chars().filter(|c| !c.is_control()).take(40);
    let name: String = visible.collect();
    format!("unknown column `{name}`; the columns are {known} and, where known, {OBJECT_ID}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_requirement_are_headers_in_any_order() {
        let header = csv::StringRecord::from(vec![
            "アカウントステータス（必須）",
            "ユーザーＩＤ",
            "氏名",
            "メールアドレス",
            "部署",
            "役職",
            "電話番号",
            "利用開始日",
            "利用終了日",
            "Object_ID",
        ]);
        let columns = of(&header).unwrap();
        assert_eq!(columns[..3], ["status", "user_id", "name"]);
        assert_eq!(columns[9], OBJECT_ID);
    }
}
