"""Writes exact.txt: what ops come to, by definitions that share nothing with graphrun.

Functions of real numbers are mpmath's with 300 digits, rounded once. Integers are Python's, wrapped. Shapes and indices are NumPy's.
Convolution, pooling, normalization and adjoints are PyTorch's and its autograd's, in f64. Run: python exact.py > exact.txt

A case is an op with its attributes, its operands, and its results behind "=". "~ n" is how far a result may be off: n units in the last
place where n is an integer, else n times the greatest element.
"""
import math
import struct

import numpy as np
import torch
import torch.nn.functional as F
from mpmath import mp, mpf

mp.dps = 400
nan, inf = math.nan, math.inf
NP = {'f64': np.float64, 'f32': np.float32, 'i64': np.int64, 'u8': np.uint8, 'i8': np.int8, 'i32': np.int32, 'u64': np.uint64, 'bool': np.bool_}
rng = np.random.default_rng(1)


def name(x):
    return {'float64': 'f64', 'float32': 'f32', 'int64': 'i64', 'uint8': 'u8', 'int8': 'i8', 'int32': 'i32', 'uint64': 'u64', 'bool': 'bool'}[str(x.dtype)]


def element(v):
    if isinstance(v, (bool, np.bool_)):
        return str(bool(v)).lower()
    if isinstance(v, (float, np.floating)):
        if v != v:
            return 'nan'
        s = repr(float(v))
        return s[:-2] if s.endswith('.0') else s
    return str(int(v))


def tensor(x):
    if isinstance(x, torch.Tensor):
        x = x.detach().numpy()
    x = np.asarray(x)
    return '%s[%s] [%s]' % (name(x), ','.join(map(str, x.shape)), ', '.join(map(element, x.reshape(-1))))


def attr(v):
    if isinstance(v, bool):
        return str(v).lower()
    if isinstance(v, str):
        return v if v in NP else '"%s"' % v
    if isinstance(v, (list, tuple)):
        return '[%s]' % ', '.join(map(str, v))
    return repr(v)


def case(op, ins, outs, tol='0', **attrs):
    if not isinstance(outs, (list, tuple)):
        outs = [outs]
    print(op + (' {%s}' % ', '.join('%s=%s' % (k.rstrip('_'), attr(v)) for k, v in attrs.items()) if attrs else ''))
    for x in ins:
        print('  ' + tensor(x))
    for y in outs:
        print('= ' + tensor(y))
    print('~ ' + tol)


def rounded(y, dt):
    """y, a number of mpmath or a float, as the nearest of dt."""
    if isinstance(y, float):
        return y
    if y == mp.inf or y == -mp.inf:
        return float(y)
    if dt == 'f64':
        return to_f64(y)
    x = to_f64(y)  # round to odd, so that rounding it again is rounding once
    if mpf(x) != y and math.isfinite(x) and x != 0:
        b, = struct.unpack('<q', struct.pack('<d', x))
        if abs(mpf(x)) > abs(y):
            b -= 1
        x, = struct.unpack('<d', struct.pack('<q', b | 1))
    with np.errstate(all='ignore'):
        return float(np.float32(x))


def to_f64(y):
    if y == 0:
        return 0.0
    if abs(y) >= mpf(2)**1024 - mpf(2)**970:
        return math.copysign(inf, y)
    if abs(y) >= mpf(2)**-1022:
        mp.prec, old = 53, mp.prec
        y = +y
        mp.prec = old
        return float(y)
    return float(mp.nint(y * mpf(2)**1074)) * 5e-324 if abs(y) > mpf(2)**-1080 else math.copysign(0.0, y)


EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.5, 100.0, -100.0, 1e-5, -1e-5, 1e-310, 5e-324, -1e-310, 2.2250738585072014e-308, 1e300, -1e300,
         1 - 2**-53, 1 + 2**-52, -1 + 2**-53, 0.999, 1.001, 22 / 7, 355.0, math.pi, math.pi / 2, 45.553093477052, 91.106186954104, 709.0, 709.44, 709.75,
         709.78, 709.79, 710.2, 710.48, -709.0, -708.5, -744.0, -745.2, -746.0, 88.72, 88.73, -103.9, -104.1, 20.0, -20.0, 26.5, 5.9, 27.3, 0.7, -0.7,
         16777217.0, 0.1, -0.3, nan, inf, -inf]


def edges(dt):
    if dt == 'f64':
        xs = EDGES + list(rng.normal(size=10) * 3) + list(np.exp(rng.normal(size=10) * 100))
        return np.array(xs)
    with np.errstate(all='ignore'):
        xs = np.array(EDGES + [1e-40, 1e-45, -1e-42, 3e38, -3e38, 1 - 2**-24, 1 + 2**-23] + list(rng.normal(size=10) * 3), np.float32)
    return xs


def M(f, lo=-inf, hi=inf, at=None, zero=False):
    """A function of mpmath between lo and hi; at has values at infinities and poles; zero keeps the sign of a zero."""
    at = at or {}

    def g(x):
        if x != x:
            return nan
        if x in at:
            return at[x]
        if x == 0 and zero:
            return x
        if x < lo or x > hi:
            return nan
        return f(mpf(x))
    return g


half = mpf(1) / 2
sq2 = mp.sqrt(2)


def big(f, top, bottom):
    """f, where arguments beyond 1000 give the limits."""
    return lambda x: (top if x > 0 else bottom) if abs(x) > 100000 else f(x)


sig = big(lambda x: 1 / (1 + mp.exp(-x)), mpf(1), mpf(0))
soft = lambda x: x if x > 100000 else (mpf(0) if x < -100000 else mp.log1p(mp.exp(x)))
phi = lambda x: (mpf(1) if x > 100 else mp.erfc(-x / sq2) / 2) if x > -100 else mpf(0)
UNARY = {
    'exp': (M(big(mp.exp, inf, 0.0), at={inf: inf, -inf: 0.0}), 4),
    'expm1': (M(big(mp.expm1, inf, -1.0), at={inf: inf, -inf: -1.0}, zero=True), 4),
    'log': (M(mp.log, 0, at={0.0: -inf, inf: inf}), 4),
    'log1p': (M(mp.log1p, -1, at={-1.0: -inf, inf: inf}, zero=True), 4),
    'sqrt': (M(mp.sqrt, 0, at={inf: inf}, zero=True), 0),
    'rsqrt': (lambda x: math.copysign(inf, x) if x == 0 else M(lambda x: 1 / mp.sqrt(x), 0, at={inf: 0.0})(x), 2),
    'sin': (M(mp.sin, at={inf: nan, -inf: nan}, zero=True), 4), 'cos': (M(mp.cos, at={inf: nan, -inf: nan}), 4),
    'tan': (M(mp.tan, at={inf: nan, -inf: nan}, zero=True), 4),
    'asin': (M(mp.asin, -1, 1, zero=True), 4), 'acos': (M(mp.acos, -1, 1), 4),
    'atan': (M(mp.atan, at={inf: math.pi / 2, -inf: -math.pi / 2}, zero=True), 4),
    'sinh': (M(big(mp.sinh, inf, -inf), at={inf: inf, -inf: -inf}, zero=True), 4), 'cosh': (M(big(mp.cosh, inf, inf), at={inf: inf, -inf: inf}), 4),
    'tanh': (M(big(mp.tanh, mpf(1), mpf(-1)), at={inf: 1.0, -inf: -1.0}, zero=True), 4),
    'asinh': (M(mp.asinh, at={inf: inf, -inf: -inf}, zero=True), 4), 'acosh': (M(mp.acosh, 1, at={inf: inf}), 4),
    'atanh': (M(mp.atanh, -1, 1, at={1.0: inf, -1.0: -inf}, zero=True), 4),
    'sigmoid': (M(sig, at={inf: 1.0, -inf: 0.0}), 4),
    'erf': (M(big(mp.erf, mpf(1), mpf(-1)), at={inf: 1.0, -inf: -1.0}, zero=True), 4), 'erfc': (M(big(mp.erfc, mpf(0), mpf(2)), at={inf: 0.0, -inf: 2.0}), 4),
    'reciprocal': (lambda x: nan if x != x else math.copysign(inf, x) if x == 0 else math.copysign(0.0, x) if math.isinf(x) else 1 / mpf(x), 0),
    'square': (lambda x: x * x if not math.isfinite(x) else mpf(x)**2 if x else 0.0, 0),
    'abs': (abs, 0), 'neg': (lambda x: -x, 0), 'relu': (lambda x: 0.0 if x < 0 else x, 0),
    'sign': (lambda x: x if x != x or x == 0 else math.copysign(1.0, x), 0),
    'floor': (lambda x: float(np.floor(x)), 0), 'ceil': (lambda x: float(np.ceil(x)), 0), 'trunc': (lambda x: float(np.trunc(x)), 0),
    'round': (lambda x: float(np.rint(x)), 0), 'stop_gradient': (lambda x: x, 0),
    # composites, on finite numbers
    'silu': (M(lambda x: x * sig(x)), 64), 'softsign': (M(lambda x: x / (1 + abs(x))), 64), 'log_sigmoid': (M(lambda x: -soft(-x)), 64),
    'mish': (M(lambda x: x * mp.tanh(soft(x)) if abs(x) < 100000 else max(x, mpf(0))), 64), 'softplus': (M(lambda x: x if x > 20 else soft(x)), 64),
    'gelu': (M(lambda x: x * phi(x)), 1024), 'elu': (M(lambda x: x if x > 0 else mp.expm1(x) if x > -100000 else mpf(-1)), 64),
    'celu': (M(lambda x: x if x > 0 else mp.expm1(x) if x > -100000 else mpf(-1)), 64),
    'selu': (M(lambda x: mpf(1.0507009873554805) * (x if x > 0 else mpf(1.6732632423543772) * (mp.expm1(x) if x > -100000 else mpf(-1)))), 64),
    'hardsigmoid': (M(lambda x: min(max(mpf(1 / 6) * x + half, mpf(0)), mpf(1))), 64),
    'hardswish': (M(lambda x: x * min(max(x / 6 + half, mpf(0)), mpf(1))), 64), 'hardtanh': (M(lambda x: min(max(x, mpf(-1)), mpf(1))), 64),
    'hardshrink': (lambda x: x if abs(x) > 0.5 else 0.0, 64), 'softshrink': (M(lambda x: x - half if x > half else x + half if x < -half else mpf(0)), 64),
    'leaky_relu': (M(lambda x: x if x >= 0 else x * mpf(0.01)), 64),
    'heaviside': (lambda x: x if x != x else 1.0 if x >= 0 else 0.0, 64),
}
COMPOSED = {k for k, (_, u) in UNARY.items() if u >= 64}

for op, (f, ulp) in UNARY.items():
    for dt in ['f64', 'f32']:
        x = edges(dt)
        if op in COMPOSED:
            x = x[np.isfinite(x) & (abs(x) < 1e30) & ((abs(x) > 1e-30) | (x == 0))]
            if op in ('gelu', 'mish', 'silu'):
                x = x[x > (-700 if op == 'silu' else -3)]  # below, 1+erf cancels, and a sigmoid has few digits
        case(op, [x], np.array([rounded(f(float(v)), dt) for v in x], NP[dt]), str(ulp))
x = edges('f64')
case('isnan', [x], np.isnan(x))
case('isinf', [x], np.isinf(x))
case('threshold', [x], np.where(x > 0.5, x, np.where(np.isnan(x), x, 9.0)), threshold=0.5, value=9.0)

# --- two operands: all pairs of edges
E2 = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, -7.0, 1e-310, 5e-324, 1e300, -1e300, 1 + 2**-30, 1e9, 709.5, -0.1, 2.0, nan, inf, -inf]


def fmod(a, b):
    if a != a or b != b or math.isinf(a) or b == 0:
        return nan
    return math.fmod(a, b)


def remainder(a, b):
    r = fmod(a, b)
    if r != r:
        return r
    if r != 0 and (r < 0) != (b < 0):  # a zero keeps the sign of a, as PyTorch's
        return b if math.isinf(b) else rounded(mpf(r) + mpf(b), 'f64')
    return r


def power(a, b):
    try:
        special = math.pow(a, b)
    except OverflowError:
        special = math.copysign(inf, a) if b == math.floor(b) and b % 2 == 1 else inf
    except ValueError:
        return nan if a != 0 else (math.copysign(inf, a) if b % 2 == 1 else inf)
    if not math.isfinite(a) or not math.isfinite(b) or special != special or math.isinf(special) or a in (0.0, 1.0, -1.0) or b == 0:
        return special
    y = mp.power(abs(mpf(a)), mpf(b))
    return -y if a < 0 and b % 2 == 1 else y


def signed_max(a, b):
    return nan if a != a or b != b else (b if math.copysign(1, a) < 0 else a) if a == b == 0 else max(a, b)


def signed_min(a, b):
    return -signed_max(-a, -b)


def lae(a, b):
    if a != a or b != b:
        return nan
    if math.isinf(a) or math.isinf(b):
        return max(a, b)
    hi, lo = max(a, b), min(a, b)
    return mpf(hi) + (mp.log1p(mp.exp(mpf(lo) - hi)) if hi - lo < 1e5 else 0)


np.seterr(all='ignore')
BINARY = {
    'add': (lambda a, b: a + b, 0), 'sub': (lambda a, b: a - b, 0), 'mul': (lambda a, b: a * b, 0),
    'div': (lambda a, b: float(np.float64(a) / np.float64(b)), 0),
    'pow': (power, 4), 'fmod': (fmod, 0), 'remainder': (remainder, 0),
    'atan2': (lambda a, b: math.atan2(a, b) if not math.isfinite(a) or not math.isfinite(b) or a == 0 or b == 0 else mp.atan2(mpf(a), mpf(b)), 4),
    'maximum': (signed_max, 0), 'minimum': (signed_min, 0), 'logaddexp': (lae, 4),
}
far = [(1.0000000237517634, 13832117213.20079), (2.17e-322, 0.3498303985228557), (0.99, -70000.0), (1e300, 0.4), (1e-300, 1.02)]
a, b = np.array(E2)[:, None], np.array(E2)
for op, (f, ulp) in BINARY.items():
    case(op, [a, b], np.array([[rounded(f(x, y), 'f64') for y in E2] for x in E2]), str(ulp))
case('pow', [np.array([p[0] for p in far]), np.array([p[1] for p in far])], np.array([rounded(power(x, y), 'f64') for x, y in far]), '4')
fd = [float(np.floor_divide(x, y)) for x, y in [(7.5, 2.0), (-7.5, 2.0), (7.5, -2.0), (1.0, 0.1), (-3.0, 3.0)]]
case('floor_div', [np.array([7.5, -7.5, 7.5, 1.0, -3.0]), np.array([2.0, 2.0, -2.0, 0.1, 3.0])], np.array(fd))
for op, f in {'equal': np.equal, 'not_equal': np.not_equal, 'less': np.less, 'less_equal': np.less_equal, 'greater': np.greater, 'greater_equal': np.greater_equal}.items():
    case(op, [a, b], f(a, b))
    case(op, [np.array([2**53, -1, 5]), np.array([2**53 + 1, -1, 4])], f(np.array([2**53, -1, 5]), np.array([2**53 + 1, -1, 4])))
t, u = np.array([True, True, False, False]), np.array([True, False, True, False])
for op, f in {'and': np.logical_and, 'or': np.logical_or, 'xor': np.logical_xor}.items():
    case(op, [t, u], f(t, u))
case('not', [t], ~t)
case('where', [t, np.array([1.0, nan, 3.0, 4.0]), np.array([5.0, 6.0, nan, -0.0])], np.array([1.0, nan, nan, -0.0]))
case('clamp', [np.array([[-3.0, 0.5, 9.0]]), np.array([[-1.0], [0.75]]), np.array(2.0)], np.array([[-1.0, 0.5, 2.0], [0.75, 0.75, 2.0]]))
case('prelu', [np.array([[-2.0, 3.0], [-0.5, 0.0]]), np.array([0.25, 4.0])], np.array([[-0.5, 3.0], [-0.125, 0.0]]))

# --- integers: Python's, wrapped
def wrap(v, dt):
    n = np.dtype(NP[dt]).itemsize * 8
    v &= (1 << n) - 1
    return v - (1 << n) if dt[0] == 'i' and v >> (n - 1) else v


def tdiv(a, b):
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


INT = {'add': lambda a, b: a + b, 'sub': lambda a, b: a - b, 'mul': lambda a, b: a * b, 'maximum': max, 'minimum': min}
NONZERO = {'div': tdiv, 'floor_div': lambda a, b: a // b, 'fmod': lambda a, b: a - b * tdiv(a, b), 'remainder': lambda a, b: a % b}
for dt in ['i8', 'u8', 'i32', 'i64', 'u64']:
    info = np.iinfo(NP[dt])
    vals = sorted({int(info.min), int(info.min) + 1, 0, 1, 2, 3, 7, int(info.max) - 1, int(info.max)} | ({-1, -2, -7} if info.min < 0 else set()))
    x = np.array(vals, NP[dt])
    for fs, others in [(INT, vals), (NONZERO, [v for v in vals if v]), ({'pow': lambda a, b: a**b}, [0, 1, 2, 3, 5])]:
        for op, f in fs.items():
            case(op, [x[:, None], np.array(others, NP[dt])], np.array([[wrap(f(v, w), dt) for w in others] for v in vals], NP[dt]))
    for op, f in {'neg': lambda v: -v, 'abs': abs, 'square': lambda v: v * v, 'relu': lambda v: max(v, 0), 'sign': lambda v: (v > 0) - (v < 0)}.items():
        case(op, [x], np.array([wrap(f(v), dt) for v in vals], NP[dt]))
    case('reduce_sum', [x], np.array(wrap(sum(vals), dt), NP[dt]), axes=[0])
    case('reduce_prod', [x[x != 0]], np.array(wrap(math.prod(v for v in vals if v), dt), NP[dt]), axes=[0])
    case('cumsum', [x], np.array([wrap(sum(vals[:i + 1]), dt) for i in range(len(vals))], NP[dt]), axis=0)
case('cast', [np.array([2**62 + 2**38 + 1, 9007199791611905, -(2**62 + 2**38 + 1)])], np.array([2.0**62 + 2**39, 9007200328482816.0, -2.0**62 - 2**39], np.float32), to='f32')

# --- sums: exact rationals
x = rng.normal(size=(3, 4, 5))
exact = lambda f, axes: np.array([[float(f([mpf(v) for v in x[:, i, :].reshape(-1)]))] for i in range(4)])[:, 0]
S = lambda v: mp.fsum(v)
mean = lambda v: mp.fsum(v) / len(v)
var = lambda v, c=1: mp.fsum((z - mean(v))**2 for z in v) / (len(v) - c)
prod = lambda v: math.prod(v, start=mpf(1))
for op, f, at in [('reduce_sum', S, {}), ('reduce_mean', mean, {}), ('reduce_prod', prod, {}), ('reduce_max', max, {}), ('reduce_min', min, {}),
                  ('reduce_l1', lambda v: S(map(abs, v)), {}), ('reduce_l2', lambda v: mp.sqrt(S(z * z for z in v)), {}),
                  ('logsumexp', lambda v: mp.log(S(map(mp.exp, v))), {}), ('var', var, {'correction': 1}), ('std', lambda v: mp.sqrt(var(v, 0)), {'correction': 0})]:
    case(op, [x], exact(f, (0, 2)), '0' if op in ('reduce_max', 'reduce_min') else '1e-14', axes=[0, 2], **at)
for op, f in [('std', lambda v: mp.sqrt(var(v))), ('reduce_l2', lambda v: mp.sqrt(S(z * z for z in v)))]:
    for s in ['1e25', '1e-25', '1']:
        v = np.array([1, -2, 3, 0.5], np.float64) * float(s)
        v = v.astype(np.float32)
        case(op, [v], np.array(rounded(f([mpf(float(z)) for z in v]), 'f32'), np.float32), '2', axes=[0])
case('reduce_max', [np.array([[1, nan, 2], [-0.0, 0.0, -0.0]])], np.array([nan, 0.0]), axes=[1])
case('reduce_min', [np.array([[1, nan, 2], [0.0, -0.0, 0.0]])], np.array([nan, -0.0]), axes=[1])
case('reduce_any', [np.array([[True, False], [False, False]])], np.array([True, False]), axes=[1])
case('reduce_all', [np.array([[True, False], [True, True]])], np.array([False, True]), axes=[1])
case('argmax', [np.array([[1.0, 3.0, 3.0], [nan, 5.0, nan]])], np.array([1, 0]), axis=1)
case('argmin', [np.array([[1.0, -3.0, -3.0], [0.0, nan, -9.0]])], np.array([1, 1]), axis=1)
case('cumsum', [x], np.cumsum(x, 1), '1e-14', axis=1)
case('cumsum', [x], np.flip(np.cumsum(np.flip(x, 2), 2), 2), '1e-14', axis=2, reverse=True)
case('cumprod', [x], np.cumprod(x, 1), '1e-14', axis=1)
lc = lambda row: [float(mp.log(S(mp.exp(mpf(z)) for z in row[:i + 1]))) for i in range(len(row))]
w = np.array([[0.5, -1.25, 700.0, 3.0], [-800.0, -801.0, -750.0, 1.0]])
case('logcumsumexp', [w], np.array([lc(r) for r in w]), '4', axis=1)
h, ra, rb = [], rng.normal(size=6), rng.normal(size=6)
for p, q in zip(ra, rb):
    h.append(float(mpf(p) * mpf(h[-1]) + mpf(q)) if h else q)
case('recurrence', [ra, rb], np.array(h), '1e-14', axis=0)
sm = lambda row: [mp.exp(mpf(z) - max(row)) / S(mp.exp(mpf(y) - max(row)) for y in row) for z in row]
case('softmax', [w], np.array([[float(z) for z in sm(list(r))] for r in w]), '64', axis=1)
case('log_softmax', [w], np.array([[float(mp.log(z)) for z in sm(list(r))] for r in w]), '1e-14', axis=1)

# --- shapes and indices: NumPy
x = np.arange(24.0).reshape(2, 3, 4)
case('reshape', [x], x.reshape(4, 6), shape=[4, 6])
case('transpose', [x], x.transpose(2, 0, 1), perm=[2, 0, 1])
case('expand', [x[:, :1]], np.broadcast_to(x[:, :1], (2, 3, 4)), shape=[2, 3, 4])
case('concat', [x, x[:, :1] + 50], np.concatenate([x, x[:, :1] + 50], 1), axis=1)
case('split', [x], [x[:, :, :1], x[:, :, 1:1], x[:, :, 1:]], axis=2, sizes=[1, 0, 3])
case('slice', [x], x[1:2, ::-2, 1:4:2], starts=[1, 2, 1], limits=[2, -1, 4], steps=[1, -2, 2])
g = np.zeros((2, 3, 4))
g[1:2, ::-2, 1:4:2] = x[1:2, :2, 1:3]
case('slice_grad', [x[1:2, :2, 1:3]], g, starts=[1, 2, 1], limits=[2, -1, 4], steps=[1, -2, 2], shape=[2, 3, 4])
case('pad', [x[0], np.array(9.0)], np.pad(x[0], [(1, 0), (2, 1)], constant_values=9.0), low=[1, 2], high=[0, 1])
for mode, np_mode, t_mode in [('reflect', 'reflect', 'reflect'), ('edge', 'edge', 'replicate'), ('wrap', 'wrap', 'circular')]:
    case('pad_mode', [x[0]], np.pad(x[0], [(1, 2), (2, 1)], mode=np_mode), mode=mode, low=[1, 2], high=[2, 1])
    leaf = torch.tensor(x[0][None, None].copy(), requires_grad=True)
    y = F.pad(leaf, (2, 1, 1, 2), mode=t_mode)
    dy = torch.tensor(rng.normal(size=y.shape))
    y.backward(dy)
    case('pad_mode_grad', [dy[0, 0]], leaf.grad[0, 0], '1e-14', mode=mode, low=[1, 2], high=[2, 1], shape=[3, 4])
case('shift', [x[0]], np.concatenate([np.zeros((1, 4)), x[0, :2]]), axis=0, by=1)
case('tril', [x], np.tril(x, 1), diagonal=1)
case('triu', [x], np.triu(x, -1), diagonal=-1)
case('dim_size', [x], np.array(3), axis=1)
case('iota', [], np.broadcast_to(np.arange(3)[:, None], (2, 3, 4)).copy(), shape=[2, 3, 4], axis=1, dtype='i64')
case('nonzero', [np.array([[0, 3], [-1, 0]])], np.argwhere(np.array([[0, 3], [-1, 0]])), id=1)
i = np.array([[2, 0], [-1, 1]])
case('gather', [x, i], np.take(x, i, 1), axis=1)
y = x.copy()
up = rng.normal(size=(2, 2, 2, 4))
np.add.at(y, (slice(None), i), up)
case('index_add', [x, i, up], y, '1e-14', axis=1)
j = np.array([[[2, 0, 1, 1]], [[0, 0, -1, 2]]])
case('gather_elements', [x, j], np.take_along_axis(x, j, 1), axis=1)
up = rng.normal(size=(2, 1, 4))
y = x.copy()
for p in np.ndindex(2, 1, 4):
    y[p[0], j[p], p[2]] += up[p]
case('scatter_add', [x, j, up], y, '1e-14', axis=1)
v = np.array([[3.0, nan, -0.0, 0.0, -inf, 3.0]])
case('sort', [np.array([[3.0, -1.0, 3.0, 2.0]])], [np.array([[-1.0, 2.0, 3.0, 3.0]]), np.array([[1, 3, 0, 2]])], axis=1)
case('sort', [v[:, [0, 2, 1, 4]]], [np.array([[-inf, -0.0, 3.0, nan]]), np.array([[3, 1, 0, 2]])], axis=1)
case('topk', [np.array([3, 1, 4, 1, 5])], [np.array([5, 4]), np.array([4, 2])], axis=0, k=2)

# --- PyTorch in f64
T = lambda *s: torch.tensor(rng.normal(size=s))
p, q = T(2, 3, 4), T(4, 5)
case('matmul', [p, q], p @ q, '1e-14')
A = T(4, 3)
case('matmul', [A, q], A.T @ q, '1e-14', transpose_a=True)
cx, cw = T(2, 4, 7, 6).requires_grad_(), T(6, 2, 3, 2).requires_grad_()
cy = F.conv2d(F.pad(cx, (0, 1, 1, 2)), cw, stride=(2, 1), dilation=(1, 2), groups=2)
dy = T(*cy.shape)
cy.backward(dy)
at = dict(strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2], groups=2)
case('conv', [cx, cw], cy, '1e-14', **at)
case('conv_input_grad', [dy, cw], cx.grad, '1e-14', **at, size=[7, 6])
case('conv_weight_grad', [cx, dy], cw.grad, '1e-14', **at, size=[3, 2])
px = T(2, 3, 7, 6).requires_grad_()
for include, divisor in [(True, 0), (False, 0), (True, 5)]:
    px.grad = None
    py = F.avg_pool2d(px, (3, 2), (2, 2), (1, 1), True, include, divisor or None)
    dy = T(*py.shape)
    py.backward(dy)
    at = dict(kernel=[3, 2], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=True, count_include_pad=include, divisor=divisor)
    case('avg_pool', [px], py, '1e-14', **at)
    case('avg_pool_grad', [dy], px.grad, '1e-14', **at, size=[7, 6])
px.grad = None
py, where = F.max_pool2d(px, (3, 2), (2, 1), (1, 1), (1, 2), True, return_indices=True)
dy = T(*py.shape)
py.backward(dy)
case('max_pool', [px], [py, where], kernel=[3, 2], strides=[2, 1], pads=[1, 1, 1, 1], ceil_mode=True, dilations=[1, 2])
case('max_pool_grad', [dy, where], px.grad, '1e-14', size=[7, 6])
px.grad = None
py = F.adaptive_avg_pool2d(px, (3, 4))
dy = T(*py.shape)
py.backward(dy)
case('adaptive_avg_pool', [px], py, '1e-14', size=[3, 4])
case('adaptive_avg_pool_grad', [dy], px.grad, '1e-14', size=[7, 6])
lx, lw, lb = T(4, 3, 5), T(3, 5), T(3, 5)
case('layer_norm', [lx, lw, lb], F.layer_norm(lx, (3, 5), lw, lb, 1e-5), '1e-13', axes=2, eps=1e-5)
sx = T(4, 6).requires_grad_()
m, v = sx.mean(0, keepdim=True), sx.var(0, correction=0, keepdim=True)
sy = (sx - m) / torch.sqrt(v + 1e-5)
dy = T(4, 6)
sy.backward(dy)
case('standardize', [sx], [sy, m, v], '1e-13', axes=[0], eps=1e-5)
case('standardize_grad', [dy, sy, v], sx.grad, '1e-13', axes=[0], eps=1e-5)
bp, bt = torch.tensor([0.25, 1.0, 0.0, 1e-60]), torch.tensor([0.5, 1.0, 1.0, 1.0])
bp, bt = bp.double(), bt.double()
case('binary_cross_entropy', [bp, bt], F.binary_cross_entropy(bp, bt, reduction='none'), '64')
z, c = T(4, 3), torch.tensor([2, 0, -100, 1])
case('softmax_cross_entropy', [z, c, torch.tensor([1.0, 2.0, 0.5]).double()],
     [F.cross_entropy(z, c, torch.tensor([1.0, 2.0, 0.5]).double(), ignore_index=-100, reduction='none', label_smoothing=0.1),
      torch.tensor([0.5, 1.0, 0.0, 2.0]).double()], '256', ignore_index=-100, label_smoothing=0.1)
