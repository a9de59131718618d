//! A machine for the pickles inside PyTorch files. It builds values and calls
//! nothing: what a pickle wants to run becomes the name of a class.

use std::collections::HashMap;
use std::io::Read;

use safetensors::Dtype;
use serde_json::{Map, Number, Value};

/// Bytes and objects beyond which a pickle is taken for an attack.
const MAX_BYTES: u64 = 128 << 20;
const MAX_OBJECTS: usize = 4 << 20;
/// How deep values are followed, and how many in all: they may share parts,
/// or contain themselves.
const MAX_DEPTH: usize = 32;
const MAX_VISITS: usize = 4 << 20;

/// Place of an object.
pub(super) type Id = usize;

/// Bytes that tensors are views of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage {
    pub(super) key: String,
    /// None for a type that no tensor here can have.
    pub(super) dtype: Option<Dtype>,
    pub(super) elements: u64,
}

/// A tensor, its values still in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TensorRef {
    pub(super) storage: Storage,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A value of a pickle.
#[derive(Debug, Clone)]
enum Object {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes,
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// `module.name`.
    Class(String),
    /// Of a class that means nothing here; what was set on it.
    Instance(Option<Id>),
    Storage(Box<Storage>),
    Tensor(Box<TensorRef>),
}

/// The objects that a pickle made.
#[derive(Debug, Default)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    root: Id,
}

/// A tensor with the keys that lead to it.
pub(super) type Found = (Vec<String>, TensorRef);

impl Pickle {
    /// Reads one pickle off a stream and leaves the stream behind it.
    pub(super) fn load(reader: &mut impl Read) -> Result<Self, String> {
        let mut machine = Machine {
            reader,
            read: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        let root = machine.run()?;
        Ok(Self {
            objects: machine.objects,
            root,
        })
    }

    /// The strings of a list.
    pub(super) fn strings(&self) -> Option<Vec<String>> {
        let (Object::List(items) | Object::Tuple(items)) = &self.objects[self.root] else {
            return None;
        };
        let text = |id: &Id| match &self.objects[*id] {
            Object::Text(text) => Some(text.clone()),
            _ => None,
        };
        items.iter().map(text).collect()
    }

    /// Every tensor with the keys that lead to it, in the file's order.
    pub(super) fn tensors(&self) -> Vec<Found> {
        let (mut found, mut path, mut left) = (Vec::new(), Vec::new(), MAX_VISITS);
        self.walk(self.root, &mut path, &mut found, &mut left);
        found
    }

    fn walk(&self, id: Id, path: &mut Vec<String>, found: &mut Vec<Found>, left: &mut usize) {
        if path.len() > MAX_DEPTH || *left == 0 {
            return;
        }
        *left -= 1;
        match &self.objects[id] {
            Object::Tensor(tensor) => found.push((path.clone(), (**tensor).clone())),
            Object::Dict(pairs) => {
                for &(key, value) in pairs {
                    path.push(self.key(key));
                    self.walk(value, path, found, left);
                    path.pop();
                }
            }
            Object::List(items) | Object::Tuple(items) => {
                for (i, &item) in items.iter().enumerate() {
                    path.push(i.to_string());
                    self.walk(item, path, found, left);
                    path.pop();
                }
            }
            // A whole module that was saved: as its state dict names things.
            Object::Instance(Some(state)) => {
                let Object::Dict(pairs) = &self.objects[*state] else {
                    return;
                };
                for &(key, value) in pairs {
                    let key = self.key(key);
                    if ["_parameters", "_buffers", "_modules"].contains(&key.as_str()) {
                        self.walk(value, path, found, left);
                    }
                }
            }
            _ => {}
        }
    }

    /// The keys of the outermost dictionary.
    pub(super) fn keys(&self) -> Vec<String> {
        match &self.objects[self.root] {
            Object::Dict(pairs) => pairs.iter().map(|&(key, _)| self.key(key)).collect(),
            _ => Vec::new(),
        }
    }

    /// A value of the outermost dictionary as JSON; what JSON has no form for
    /// becomes null.
    pub(super) fn json(&self, key: &str) -> Option<Value> {
        let Object::Dict(pairs) = &self.objects[self.root] else {
            return None;
        };
        let mut left = MAX_VISITS;
        let (_, value) = pairs.iter().find(|(k, _)| self.key(*k) == key)?;
        Some(self.value(*value, 0, &mut left))
    }

    fn value(&self, id: Id, depth: usize, left: &mut usize) -> Value {
        if depth > MAX_DEPTH || *left == 0 {
            return Value::Null;
        }
        *left -= 1;
        match &self.objects[id] {
            Object::Bool(b) => Value::Bool(*b),
            Object::Int(i) => Value::from(*i),
            Object::Float(f) => Number::from_f64(*f).map_or(Value::Null, Value::Number),
            Object::Text(text) => Value::String(text.clone()),
            Object::List(items) | Object::Tuple(items) => items
                .iter()
                .map(|&i| self.value(i, depth + 1, left))
                .collect(),
            Object::Dict(pairs) => pairs
                .iter()
                .map(|&(k, v)| (self.key(k), self.value(v, depth + 1, left)))
                .collect::<Map<_, _>>()
                .into(),
            // argparse.Namespace, a dataclass: what was set on it.
            Object::Instance(Some(state)) => self.value(*state, depth + 1, left),
            _ => Value::Null,
        }
    }

    fn key(&self, id: Id) -> String {
        match &self.objects[id] {
            Object::Text(text) => text.clone(),
            Object::Int(i) => i.to_string(),
            _ => "?".to_owned(),
        }
    }
}

struct Machine<'a, R> {
    reader: &'a mut R,
    read: u64,
    objects: Vec<Object>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

type Step<T = ()> = Result<T, String>;

impl<R: Read> Machine<'_, R> {
    fn run(&mut self) -> Step<Id> {
        loop {
            let op = self.bytes::<1>()?[0];
            if op == b'.' {
                return self.pop();
            }
            self.step(op)?;
        }
    }

    #[allow(clippy::too_many_lines)] // One line or two an opcode.
    fn step(&mut self, op: u8) -> Step {
        match op {
            // Protocol and frame: nothing to do.
            0x80 => drop(self.bytes::<1>()?),
            0x95 => drop(self.bytes::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.popped_to_mark()?),
            b'2' => {
                let top = *self.stack.last().ok_or("nothing to duplicate")?;
                self.stack.push(top);
            }
            b'N' => self.push(Object::None)?,
            0x88 => self.push(Object::Bool(true))?,
            0x89 => self.push(Object::Bool(false))?,
            b'I' => {
                let line = self.line()?;
                let object = match line.as_str() {
                    "00" => Object::Bool(false),
                    "01" => Object::Bool(true),
                    digits => Object::Int(digits.parse().map_err(|_| "a bad integer")?),
                };
                self.push(object)?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.bytes()?);
                self.push(Object::Int(value.into()))?;
            }
            b'K' => {
                let value = self.bytes::<1>()?[0];
                self.push(Object::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.bytes()?);
                self.push(Object::Int(value.into()))?;
            }
            b'L' => {
                let line = self.line()?;
                let digits = line.trim_end_matches('L');
                self.push(digits.parse().map_or(Object::None, Object::Int))?;
            }
            0x8a | 0x8b => {
                let n = if op == 0x8a {
                    self.length::<1>()?
                } else {
                    self.length::<4>()?
                };
                let bytes = self.long(n)?;
                self.push(integer(&bytes))?;
            }
            b'F' => {
                let line = self.line()?;
                self.push(Object::Float(line.parse().map_err(|_| "a bad number")?))?;
            }
            b'G' => {
                let value = f64::from_be_bytes(self.bytes()?);
                self.push(Object::Float(value))?;
            }
            b'S' | b'V' => {
                let line = self.line()?;
                let text = line.trim_matches(['\'', '"']).to_owned();
                self.push(Object::Text(text))?;
            }
            b'U' | 0x8c => self.text::<1>()?,
            b'T' | b'X' => self.text::<4>()?,
            0x8d => self.text::<8>()?,
            b'C' => self.skipped::<1>()?,
            b'B' => self.skipped::<4>()?,
            0x8e | 0x96 => self.skipped::<8>()?,
            b']' | 0x8f => self.push(Object::List(Vec::new()))?,
            b')' => self.push(Object::Tuple(Vec::new()))?,
            b'}' => self.push(Object::Dict(Vec::new()))?,
            b'l' | 0x91 => {
                let items = self.popped_to_mark()?;
                self.push(Object::List(items))?;
            }
            b't' => {
                let items = self.popped_to_mark()?;
                self.push(Object::Tuple(items))?;
            }
            0x85..=0x87 => {
                let count = usize::from(op - 0x84);
                let at = self
                    .stack
                    .len()
                    .checked_sub(count)
                    .ok_or("too few values")?;
                let items = self.stack.split_off(at);
                self.push(Object::Tuple(items))?;
            }
            b'd' => {
                let items = self.popped_to_mark()?;
                self.push(Object::Dict(pairs(&items)))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.popped_to_mark()?;
                self.extend(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.popped_to_mark()?;
                self.set(&items)?;
            }
            b'c' => {
                let class = format!("{}.{}", self.line()?, self.line()?);
                self.push(Object::Class(class))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let class = format!("{}.{}", self.as_text(module)?, self.as_text(name)?);
                self.push(Object::Class(class))?;
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let made = self.call(callable, arguments)?;
                self.stack.push(made);
            }
            0x92 => {
                let (_, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                let made = self.call(callable, arguments)?;
                self.stack.push(made);
            }
            b'i' => {
                // Module and name of a class.
                self.line()?;
                self.line()?;
                self.popped_to_mark()?;
                self.push(Object::Instance(None))?;
            }
            b'o' => {
                self.popped_to_mark()?;
                self.push(Object::Instance(None))?;
            }
            b'b' => {
                let (state, target) = (self.pop()?, self.top()?);
                if let Object::Instance(slot) = &mut self.objects[target] {
                    *slot = Some(state);
                }
            }
            b'p' | b'q' | b'r' | 0x94 => {
                let at = match op {
                    b'p' => self.line()?.parse().map_err(|_| "a bad memo")?,
                    b'q' => u64::from(self.bytes::<1>()?[0]),
                    b'r' => u64::from(u32::from_le_bytes(self.bytes()?)),
                    _ => self.memo.len() as u64,
                };
                let top = self.top()?;
                self.memo.insert(at, top);
            }
            b'g' | b'h' | b'j' => {
                let at = match op {
                    b'g' => self.line()?.parse().map_err(|_| "a bad memo")?,
                    b'h' => u64::from(self.bytes::<1>()?[0]),
                    _ => u64::from(u32::from_le_bytes(self.bytes()?)),
                };
                let id = *self.memo.get(&at).ok_or("a memo that was never set")?;
                self.stack.push(id);
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Object::Storage(Box::new(storage)))?;
            }
            other => return Err(format!("opcode {other:#04x} is of no pickle")),
        }
        Ok(())
    }

    fn push(&mut self, object: Object) -> Step {
        let id = self.add(object)?;
        self.stack.push(id);
        Ok(())
    }

    fn add(&mut self, object: Object) -> Step<Id> {
        if self.objects.len() == MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} values"));
        }
        self.objects.push(object);
        Ok(self.objects.len() - 1)
    }

    fn pop(&mut self) -> Step<Id> {
        self.stack.pop().ok_or_else(|| "a value is missing".into())
    }

    fn top(&self) -> Step<Id> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| "a value is missing".into())
    }

    fn popped_to_mark(&mut self) -> Step<Vec<Id>> {
        let at = self.marks.pop().ok_or("a mark is missing")?;
        if at > self.stack.len() {
            return Err("a mark above the stack".into());
        }
        Ok(self.stack.split_off(at))
    }

    fn extend(&mut self, items: &[Id]) -> Step {
        let at = self.top()?;
        if let Object::List(list) = &mut self.objects[at] {
            list.extend(items);
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Step {
        let at = self.top()?;
        if let Object::Dict(dict) = &mut self.objects[at] {
            dict.extend(pairs(items));
        }
        Ok(())
    }

    /// What a call would make: tensors and dictionaries are known, anything
    /// else becomes the name of its class.
    fn call(&mut self, callable: Id, arguments: Id) -> Step<Id> {
        let Object::Class(name) = &self.objects[callable] else {
            return self.add(Object::None);
        };
        let name = name.clone();
        let Object::Tuple(arguments) = &self.objects[arguments] else {
            return Err(format!("{name} is called without arguments"));
        };
        let arguments = arguments.clone();
        let object = match name.as_str() {
            "collections.OrderedDict" | "collections.defaultdict" | "builtins.dict" => {
                Object::Dict(self.given_pairs(&arguments))
            }
            "torch._utils._rebuild_tensor_v2"
            | "torch._utils._rebuild_tensor"
            | "torch._utils._rebuild_tensor_v3" => {
                Object::Tensor(Box::new(self.tensor(&name, &arguments)?))
            }
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
                return arguments
                    .first()
                    .copied()
                    .ok_or_else(|| "an empty parameter".into());
            }
            "torch._tensor._rebuild_from_type_v2" => match arguments.as_slice() {
                [function, _, arguments, ..] => return self.call(*function, *arguments),
                _ => return Err(format!("{name} with too few arguments")),
            },
            _ => Object::Instance(None),
        };
        self.add(object)
    }

    /// The pairs that a dictionary was made of.
    fn given_pairs(&self, arguments: &[Id]) -> Vec<(Id, Id)> {
        let Some(Object::List(items)) = arguments.first().map(|&id| &self.objects[id]) else {
            return Vec::new();
        };
        let pair = |id: &Id| match &self.objects[*id] {
            Object::Tuple(pair) | Object::List(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
            _ => None,
        };
        items.iter().filter_map(pair).collect()
    }

    fn tensor(&self, name: &str, arguments: &[Id]) -> Step<TensorRef> {
        let [storage, offset, shape, strides, others @ ..] = arguments else {
            return Err(format!("{name} with too few arguments"));
        };
        let Object::Storage(storage) = &self.objects[*storage] else {
            return Err(format!("{name} without a storage"));
        };
        let mut storage = (**storage).clone();
        // The newer form says the type apart from the storage.
        if name.ends_with("_v3")
            && let Some(Object::Class(class)) = others.get(2).map(|&id| &self.objects[id])
        {
            let dtype = dtype_of(class);
            if let Some(size) = dtype.map(|d| d.bitsize() as u64 / 8) {
                storage.elements /= size.max(1);
            }
            storage.dtype = dtype;
        }
        let (shape, strides) = (self.lengths(*shape)?, self.lengths(*strides)?);
        if shape.len() != strides.len() {
            return Err("a tensor with other strides than axes".into());
        }
        let offset = match self.objects[*offset] {
            Object::Int(at) => usize::try_from(at).map_err(|_| "a negative offset")?,
            _ => return Err("a tensor without an offset".into()),
        };
        Ok(TensorRef {
            storage,
            offset,
            shape,
            strides,
        })
    }

    fn lengths(&self, id: Id) -> Step<Vec<usize>> {
        let (Object::Tuple(items) | Object::List(items)) = &self.objects[id] else {
            return Err("a tensor without a shape".into());
        };
        let length = |&id: &Id| match self.objects[id] {
            Object::Int(n) => usize::try_from(n).ok(),
            _ => None,
        };
        let lengths: Option<Vec<usize>> = items.iter().map(length).collect();
        lengths.ok_or_else(|| "a negative length".into())
    }

    /// `("storage", class, key, location, elements)`, and for old files a
    /// view of another storage.
    fn storage(&self, id: Id) -> Step<Storage> {
        let Object::Tuple(parts) = &self.objects[id] else {
            return Err("a persistent value that is no storage".into());
        };
        let [kind, class, key, _, elements, view @ ..] = parts.as_slice() else {
            return Err("a storage with too few facts".into());
        };
        if self.as_text(*kind)? != "storage" {
            return Err("a persistent value that is no storage".into());
        }
        if view
            .first()
            .is_some_and(|&id| !matches!(self.objects[id], Object::None))
        {
            return Err("a storage that is a view of another: save the file anew".into());
        }
        let elements = match self.objects[*elements] {
            Object::Int(n) => u64::try_from(n).map_err(|_| "a negative storage")?,
            _ => return Err("a storage without a length".into()),
        };
        Ok(Storage {
            key: self.as_text(*key)?,
            dtype: dtype_of(&self.as_text(*class)?),
            elements,
        })
    }

    fn as_text(&self, id: Id) -> Step<String> {
        match &self.objects[id] {
            Object::Text(text) | Object::Class(text) => Ok(text.clone()),
            Object::Int(i) => Ok(i.to_string()),
            _ => Err("a name that is no text".into()),
        }
    }

    fn bytes<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut bytes = [0; N];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|_| "the pickle ends early")?;
        self.count(N as u64)?;
        Ok(bytes)
    }

    fn count(&mut self, bytes: u64) -> Step {
        self.read += bytes;
        if self.read > MAX_BYTES {
            return Err(format!("the pickle has more than {MAX_BYTES} bytes"));
        }
        Ok(())
    }

    /// A length in N bytes.
    fn length<const N: usize>(&mut self) -> Step<u64> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.bytes::<N>()?);
        Ok(u64::from_le_bytes(wide))
    }

    fn long(&mut self, length: u64) -> Step<Vec<u8>> {
        self.count(length)?;
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(length).read_to_end(&mut bytes);
        match read {
            Ok(n) if n as u64 == length => Ok(bytes),
            _ => Err("the pickle ends early".into()),
        }
    }

    fn text<const N: usize>(&mut self) -> Step {
        let length = self.length::<N>()?;
        let bytes = self.long(length)?;
        self.push(Object::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn skipped<const N: usize>(&mut self) -> Step {
        let length = self.length::<N>()?;
        self.long(length)?;
        self.push(Object::Bytes)
    }

    fn line(&mut self) -> Step<String> {
        let mut line = Vec::new();
        loop {
            match self.bytes::<1>()?[0] {
                b'\n' => break,
                byte => line.push(byte),
            }
        }
        String::from_utf8(line).map_err(|_| "a name that is no text".into())
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect()
}

/// A little-endian integer of any length; none beyond 64 bits.
fn integer(bytes: &[u8]) -> Object {
    if bytes.len() > 8 {
        return Object::None;
    }
    let fill = bytes
        .last()
        .map_or(0, |&b| if b >= 0x80 { 0xff } else { 0 });
    let mut wide = [fill; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Object::Int(i64::from_le_bytes(wide))
}

/// The type of a storage's class, or a `torch.float32`.
fn dtype_of(class: &str) -> Option<Dtype> {
    let name = class.rsplit('.').next().unwrap_or(class);
    Some(match name {
        "FloatStorage" | "float32" => Dtype::F32,
        "DoubleStorage" | "float64" => Dtype::F64,
        "HalfStorage" | "float16" => Dtype::F16,
        "BFloat16Storage" | "bfloat16" => Dtype::BF16,
        "LongStorage" | "int64" => Dtype::I64,
        "IntStorage" | "int32" => Dtype::I32,
        "ShortStorage" | "int16" => Dtype::I16,
        "CharStorage" | "int8" => Dtype::I8,
        "ByteStorage" | "UntypedStorage" | "uint8" => Dtype::U8,
        "BoolStorage" | "bool" => Dtype::BOOL,
        _ => return None,
    })
}
