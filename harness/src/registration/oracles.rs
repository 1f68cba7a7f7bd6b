//! Lists the oracles of this binary as [`OracleId`]s, which a record can hold.

use clarity_chaos_oracles as oracles;
use clarity_chaos_record::{OracleId, OracleKind};

/// Returns all oracles linked into this binary, sorted and without duplicates.
pub(crate) fn catalogue() -> Vec<OracleId> {
    let mut oracles: Vec<_> = oracles::catalogue().filter_map(id_of).collect();
    oracles.sort();
    oracles.dedup();
    oracles
}

/// Converts an oracle to an [`OracleId`]. Returns `None` if the oracle's kind is from a later
/// release, which this harness does not know.
pub(crate) fn id_of(oracle: &oracles::Oracle) -> Option<OracleId> {
    let kind = match oracle.kind() {
        oracles::OracleKind::Always => OracleKind::Always,
        oracles::OracleKind::Sometimes => OracleKind::Sometimes,
        oracles::OracleKind::Reachable => OracleKind::Reachable,
        _ => return None,
    };
    Some(OracleId::new(
        kind,
        oracle.message(),
        oracle.function(),
        oracle.file(),
        oracle.line(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_has_every_kind_as_data() {
        let _in_catalogue = || {
            crate::always!(true, "of the kind always");
            crate::sometimes!(true, "of the kind sometimes");
            crate::reachable!("of the kind reachable");
        };
        let catalogue = catalogue();
        for (kind, message) in [
            (OracleKind::Always, "of the kind always"),
            (OracleKind::Sometimes, "of the kind sometimes"),
            (OracleKind::Reachable, "of the kind reachable"),
        ] {
            let id = catalogue.iter().find(|id| id.message == message).unwrap();
            assert_eq!((id.kind, id.file.as_str()), (kind, file!()));
            let function =
                "clarity_chaos::registration::oracles::tests::catalogue_has_every_kind_as_data";
            assert_eq!(id.function, function);
            let mut oracles = oracles::catalogue();
            let oracle = oracles.find(|oracle| oracle.message() == message).unwrap();
            assert_eq!(
                (id.line, id.to_string()),
                (oracle.line(), oracle.to_string())
            );
        }
        assert!(catalogue.is_sorted());
    }
}
