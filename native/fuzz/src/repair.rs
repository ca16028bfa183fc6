//! The checksums that the damaged contents of a lake's files ask for.

use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};

const SEALED: [&[u8]; 3] = [b"{\"body\":", b",\"shake256\":\"", b"\"}\n"];
const HEX: usize = 64;

/// SHAKE-256 of 32 bytes, as hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    let mut digest = [0; HEX / 2];
    let mut hash = Shake256::default();
    hash.update(bytes);
    hash.finalize_xof().read(&mut digest);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A sealed JSON file: the digest of its body.
pub fn sealed(bytes: &mut [u8]) {
    let [head, middle, tail] = SEALED.map(<[u8]>::len);
    let Some(end) = bytes
        .len()
        .checked_sub(tail + HEX + middle)
        .filter(|&end| end >= head)
    else {
        return;
    };
    let hex = digest(&bytes[head..end]);
    bytes[end + middle..][..HEX].copy_from_slice(hex.as_bytes());
}

/// A log: the checksum of its header and of every record in a chain of plausible lengths.
pub fn log(bytes: &mut [u8]) {
    const HEADER: usize = 32;
    if bytes.len() < HEADER {
        return;
    }
    let sum = crc32c::crc32c(&bytes[..28]).to_le_bytes();
    bytes[28..HEADER].copy_from_slice(&sum);
    let mut at = HEADER;
    while at + HEADER <= bytes.len() {
        let record = &mut bytes[at..];
        let length = u32::from_le_bytes([record[4], record[5], record[6], record[7]]) as usize;
        let Some(end) = length
            .checked_add(HEADER)
            .filter(|&end| end <= record.len())
        else {
            return;
        };
        let sum = crc32c::crc32c_append(crc32c::crc32c(&record[12..end]), &record[4..8]);
        record[8..12].copy_from_slice(&sum.to_le_bytes());
        at += end;
    }
}

/// A file of checked blocks: the footer behind a body of the length that the file leaves for it.
pub fn blocks(bytes: &mut Vec<u8>) {
    const BLOCK: usize = 64 << 10;
    const FOOTER: usize = 16;
    // One block: the damaged files are small.
    let Some(body) = bytes
        .len()
        .checked_sub(FOOTER + 4)
        .filter(|body| *body <= BLOCK)
    else {
        return;
    };
    bytes.truncate(body);
    let mut footer: Vec<u8> = bytes
        .chunks(BLOCK)
        .flat_map(|block| crc32c::crc32c(block).to_le_bytes())
        .collect();
    footer.extend_from_slice(&(body as u64).to_le_bytes());
    let sum = crc32c::crc32c(&footer).to_le_bytes();
    bytes.extend_from_slice(&footer);
    bytes.extend_from_slice(&sum);
    bytes.extend_from_slice(b"RLBK");
}
