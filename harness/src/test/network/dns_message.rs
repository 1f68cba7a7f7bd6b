//! The messages of the domain name system (RFC 1035), as far as a name server for addresses needs
//! them.

use std::net::IpAddr;

/// The length of the header of a message.
const HEADER: usize = 12;

/// The longest name, in its form on the wire.
const LONGEST_NAME: usize = 255;

/// The time for which clients may keep an answer: not at all, since faults change the answers.
const TIME_TO_LIVE: u32 = 0;

/// The result code of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseCode {
    NoError = 0,
    ServerFailure = 2,
    NameError = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// A query for the records of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    id: [u8; 2],
    flags: u8,
    /// The question as it was received. The answer repeats it.
    question: Vec<u8>,
    /// The name in lower case, without the dot at its end.
    pub(super) name: String,
    kind: u16,
}

impl Query {
    /// Parses a received message. Returns `None` if it is not a query with one question.
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let (header, rest) = message.split_at_checked(HEADER)?;
        let is_response = header[2] & 0x80 != 0;
        if is_response || header[4..6] != [0, 1] {
            return None;
        }
        let (mut labels, mut place) = (Vec::new(), 0);
        loop {
            let length = usize::from(*rest.get(place)?);
            place += 1;
            if length == 0 {
                break;
            }
            // Longer lengths are references to other names, which a question does not contain.
            if length > 63 || place + length >= LONGEST_NAME {
                return None;
            }
            let label = rest.get(place..place + length)?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            place += length;
        }
        let kind = rest.get(place..place + 4)?;
        Some(Self {
            id: [header[0], header[1]],
            flags: header[2],
            question: rest[..place + 4].to_vec(),
            name: labels.join("."),
            kind: u16::from_be_bytes([kind[0], kind[1]]),
        })
    }

    /// Whether this is a standard query, and no other operation.
    pub(super) fn is_standard(&self) -> bool {
        self.flags & 0x78 == 0
    }

    /// Returns the answer with this code and those of the addresses that the query asks for.
    pub(super) fn answer(&self, code: ResponseCode, addresses: &[IpAddr]) -> Vec<u8> {
        const ADDRESS_4: u16 = 1;
        const ADDRESS_6: u16 = 28;
        const ANY: u16 = 255;
        let asked = addresses.iter().filter(|address| match self.kind {
            ADDRESS_4 => address.is_ipv4(),
            ADDRESS_6 => address.is_ipv6(),
            kind => kind == ANY,
        });
        let (mut count, mut records) = (0_u16, Vec::new());
        for address in asked {
            let (kind, octets) = match address {
                IpAddr::V4(address) => (ADDRESS_4, address.octets().to_vec()),
                IpAddr::V6(address) => (ADDRESS_6, address.octets().to_vec()),
            };
            count += 1;
            // The name: a reference to the question.
            records.extend([0xc0, HEADER as u8]);
            records.extend(kind.to_be_bytes());
            records.extend(1_u16.to_be_bytes());
            records.extend(TIME_TO_LIVE.to_be_bytes());
            records.extend((octets.len() as u16).to_be_bytes());
            records.extend(octets);
        }
        // An authoritative response, of a server that looks up other names, too.
        let flags = [self.flags & 0x79 | 0x84, 0x80 | code as u8];
        let mut message = [self.id, flags, [0, 1], count.to_be_bytes(), [0; 2], [0; 2]].concat();
        message.extend(&self.question);
        message.extend(records);
        message
    }
}

/// Converts a name to the form of [`Query::name`].
pub(crate) fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for the address of `Db.Test`, with the extension that most clients add.
    const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x02Db\x04Test\0\0\x01\0\x01\
                           \0\0\x29\x04\xd0\0\0\0\0\0\0";

    #[test]
    fn query_parse_reads_the_name_and_the_type() {
        let query = Query::parse(QUERY).unwrap();
        assert_eq!((query.name.as_str(), query.kind), ("db.test", 1));
        assert!(query.is_standard());
        assert_eq!(normal("DB.test."), query.name);
    }

    #[test]
    fn query_parse_malformed_messages_are_no_queries() {
        for length in 0..QUERY.len() - 11 {
            assert_eq!(Query::parse(&QUERY[..length]), None);
        }
        let changed = |place: usize, byte: u8| {
            let mut message = QUERY.to_vec();
            message[place] = byte;
            Query::parse(&message)
        };
        assert_eq!(changed(2, 0x81), None, "a response");
        assert_eq!(changed(5, 2), None, "two questions");
        assert_eq!(changed(12, 0xc0), None, "a reference");
        let long = [&QUERY[..HEADER], &[63; 300]].concat();
        assert_eq!(Query::parse(&long), None, "a name that is too long");
    }

    #[test]
    fn query_answer_has_the_addresses_of_the_asked_type() {
        let query = Query::parse(QUERY).unwrap();
        let addresses = ["::1", "10.1.2.3"].map(|text| text.parse().unwrap());
        let answer = query.answer(ResponseCode::NoError, &addresses);
        let header = b"\x12\x34\x85\x80\0\x01\0\x01\0\0\0\0";
        let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x0a\x01\x02\x03";
        assert_eq!(answer, [&header[..], &QUERY[12..25], record].concat());
    }

    #[test]
    fn query_answer_of_an_error_has_no_record() {
        let query = Query::parse(QUERY).unwrap();
        let answer = query.answer(ResponseCode::NameError, &[]);
        assert_eq!(answer[2..8], [0x85, 0x83, 0, 1, 0, 0]);
        assert_eq!(answer.len(), 25);
    }
}
