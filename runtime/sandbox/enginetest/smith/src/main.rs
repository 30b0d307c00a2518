//! smith FIRST COUNT: writes the modules of seeds FIRST to FIRST + COUNT - 1 to
//! standard output, each as its length (32 bits, little-endian) and its bytes.
//! A module is a function of its seed and of Cargo.lock alone.

use arbitrary::Unstructured;
use std::io::Write;
use wasm_smith::{Config, MemoryOffsetChoices, Module};

/// The random stream of a seed: splitmix64 (Steele, Lea and Flood, 2014).
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// A module that imports the host functions which generated modules may use.
const IMPORTS: &[u8] = b"\x00asm\x01\x00\x00\x00\
    \x01\x1c\x05\x60\x01\x7f\x00\x60\x02\x7f\x7e\x01\x7f\x60\x02\x7d\x7c\x01\x7c\x60\x01\x7b\x01\x7b\x60\x01\x7e\x02\x7e\x7d\
    \x02\x29\x05\x03env\x01a\x00\x00\x03env\x01b\x00\x01\x03env\x01c\x00\x02\x03env\x01d\x00\x03\x03env\x01e\x00\x04";

fn config(s: &mut Stream) -> Config {
    let mut c = Config::default();
    c.available_imports = Some(IMPORTS.to_vec());
    // The profile of docs/spec/sandbox.md.
    c.exceptions_enabled = false;
    c.gc_enabled = false;
    c.memory64_enabled = false;
    c.relaxed_simd_enabled = false;
    c.tail_call_enabled = false;
    c.threads_enabled = false;
    c.wide_arithmetic_enabled = false;
    c.extended_const_enabled = false;
    c.compact_imports_enabled = false;
    c.max_memories = 1;
    c.max_memory32_bytes = 4 << 16;
    c.max_table_elements = 100;
    c.max_tables = 3;
    c.max_data_segments = 6;
    c.max_element_segments = 6;
    c.max_elements = 20;
    c.max_imports = 5;
    c.max_types = 20;
    c.max_globals = 12;
    // Programs that do something before they trap.
    c.min_funcs = 1;
    c.max_funcs = 1 + (s.next() % 12) as usize;
    c.max_instructions = 20 + (s.next() % 300) as usize;
    c.min_memories = (s.next() % 4 != 0) as u32;
    c.min_tables = (s.next() % 2) as u32;
    c.min_globals = 2;
    c.export_everything = true;
    c.disallow_traps = s.next() % 3 != 0;
    c.memory_offset_choices = MemoryOffsetChoices(90, 9, 1);
    c
}

fn main() {
    let args: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().expect("a number")).collect();
    let [first, count] = args[..] else { panic!("usage: smith FIRST COUNT") };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for seed in first..first + count {
        let mut s = Stream(seed);
        let config = config(&mut s);
        let module = loop {
            let size = 256 + (s.next() % 6000) as usize;
            let data: Vec<u8> = (0..size).map(|_| s.next() as u8).collect();
            // The generator gives up on some data: the stream goes on.
            if let Ok(module) = Module::new(config.clone(), &mut Unstructured::new(&data)) {
                break module.to_bytes();
            }
        };
        out.write_all(&(module.len() as u32).to_le_bytes()).expect("write");
        out.write_all(&module).expect("write");
    }
}
