//! The payload of a record that commits a session.

/// A collection of a session, and its change there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Participant {
    pub(crate) name: String,
    /// Sequence of the change.
    pub(crate) sequence: u64,
    /// See [`crate::wal::owner`]: a collection made later may have the name of one that was dropped. 0 in records of early
    /// versions.
    pub(crate) owner: u32,
}

/// A committed session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) session: u128,
    pub(crate) participants: Vec<Participant>,
}

impl Marker {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session.to_le_bytes());
        out.extend_from_slice(&(self.participants.len() as u32).to_le_bytes());
        for Participant { name, sequence, .. } in &self.participants {
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&sequence.to_le_bytes());
        }
        for Participant { owner, .. } in &self.participants {
            out.extend_from_slice(&owner.to_le_bytes());
        }
    }

    /// Nothing if it makes no sense.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let (session, rest) = payload.split_first_chunk::<16>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut participants = Vec::new();
        for _ in 0..u32::from_le_bytes(*count) {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (name, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            let (sequence, after) = after.split_first_chunk::<8>()?;
            participants.push(Participant {
                name: std::str::from_utf8(name).ok()?.to_owned(),
                sequence: u64::from_le_bytes(*sequence),
                owner: 0,
            });
            rest = after;
        }
        if !rest.is_empty() {
            for participant in &mut participants {
                let (owner, after) = rest.split_first_chunk::<4>()?;
                participant.owner = u32::from_le_bytes(*owner);
                rest = after;
            }
        }
        rest.is_empty().then_some(Self {
            session: u128::from_le_bytes(*session),
            participants,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(owner: u32) -> Marker {
        let participant = |name: &str, sequence| Participant {
            name: name.into(),
            sequence,
            owner,
        };
        Marker {
            session: 7 << 100,
            participants: vec![participant("ä", 1), participant("b", u64::MAX)],
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let mut payload = Vec::new();
        marker(9).encode(&mut payload);
        assert_eq!(Marker::decode(&payload), Some(marker(9)));
        for length in 0..payload.len() {
            let whole = length + 8 == payload.len();
            assert_eq!(Marker::decode(&payload[..length]).is_some(), whole);
        }
    }

    #[test]
    fn reads_records_of_early_versions() {
        let mut payload = Vec::new();
        marker(0).encode(&mut payload);
        payload.truncate(payload.len() - 8);
        assert_eq!(Marker::decode(&payload), Some(marker(0)));
    }
}
