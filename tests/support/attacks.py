"""Hostile files, made by script: {name: bytes}. Bombs, truncations, lies about lengths and sizes, damage, polyglots, strangers."""

import base64
import gzip
import random
import struct
import subprocess
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path
import zlib

SUFFIXES = {
    "jpeg": ".jpg", "progressive": ".jpg[interlace]", "png": ".png", "interlaced": ".png[interlace]", "palette": ".png[palette]",
    "webp": ".webp", "lossless": ".webp[lossless]", "gif": ".gif", "tiff": ".tif", "lzw": ".tif[compression=lzw]", "avif": ".avif[effort=0]",
}


def samples():
    """A valid picture of 96 x 64 in each form, by Debian's vips tool; and an animation."""
    out = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        def vips(*args):
            subprocess.run(["vips", *map(str, args)], check=True, capture_output=True)
        for band in range(3):
            vips("gaussnoise", place / f"{band}.v", 96, 64, "--sigma", 40, "--mean", 128, "--seed", band + 1)
        vips("bandjoin", " ".join(str(place / f"{b}.v") for b in range(3)), place / "f.v")
        vips("cast", place / "f.v", place / "u.v", "uchar")
        vips("copy", place / "u.v", place / "rgb.v", "--interpretation", "srgb")
        for kind, suffix in SUFFIXES.items():
            vips("copy", place / "rgb.v", f"{place / 'out'}{suffix}")
            out[kind] = (place / f"out{suffix.split('[')[0]}").read_bytes()
        vips("copy", place / "rgb.v", f"{place / 'out'}.gif[page-height=16]")
        out["animation"] = (place / "out.gif").read_bytes()
    return out


# --- damage to what is valid

def truncations(good):
    for kind, data in good.items():
        for part in (1, 20, 50, 80, 95):
            yield f"truncated-{kind}-{part}", data[:max(1, len(data) * part // 100)]


def flips(good):
    for kind, data in good.items():
        for seed in range(4):
            dice, bad = random.Random(f"{kind}{seed}"), bytearray(data)
            for _ in range(1 << seed):
                bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
            yield f"flipped-{kind}-{1 << seed}", bytes(bad)


def additions(good):
    for kind, data in good.items():
        yield f"appended-{kind}", data + b"<script>alert(1)</script>" * 100
    yield "prefixed-jpeg", b"\n" + good["jpeg"]
    yield "prefixed-png", b"<?php ?>" + good["png"]
    yield "doubled-png", good["png"] * 2
    yield "doubled-gif", good["gif"] * 2


# --- lies about sizes

def patched(data, at, new):
    return data[:at] + new + data[at + len(new):]


def chunk(kind, data, length=None):
    return struct.pack(">I", len(data) if length is None else length) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth=8, colour=2, rows=b"", more=b""):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) + more
            + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def png_lies(good):
    for w, h in ((50000, 50000), (2**31 - 1, 1), (1, 2**31 - 1), (0, 5), (2**32 - 1, 2**32 - 1), (10000, 10000), (9000, 9000)):
        yield f"png-claims-{w}x{h}", png(w, h)
    for depth, colour in ((16, 3), (3, 2), (8, 1), (8, 7), (1, 2), (0, 0)):
        yield f"png-depth-{depth}-colour-{colour}", png(8, 8, depth, colour, b"\0" * 400)
    for name, length in (("2g", 2**31 - 1), ("4g", 2**32 - 1), ("one-more", 65)):
        yield f"png-chunk-{name}", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) + chunk(b"tEXt", b"a" * 64, length)
    bad_crc = bytearray(good["png"])
    bad_crc[29] ^= 1
    yield "png-bad-crc", bytes(bad_crc)
    yield "png-bad-filter", png(8, 8, rows=(b"\x09" + b"\1" * 24) * 8)
    yield "png-short-data", png(800, 800, rows=b"\0" * 100)
    yield "png-no-palette", png(8, 8, 8, 3, (b"\0" + b"\5" * 8) * 8)
    yield "png-palette-out-of-range", png(8, 8, 8, 3, (b"\0" + b"\xff" * 8) * 8, chunk(b"PLTE", b"\1\2\3"))
    bomb = zlib.compress(b"\0" * 50_000_000, 9)
    yield "png-ztxt-bomb", png(8, 8, rows=(b"\0" + b"\1" * 24) * 8, more=chunk(b"zTXt", b"a\0\0" + bomb))
    yield "png-iccp-bomb", png(8, 8, rows=(b"\0" + b"\1" * 24) * 8, more=chunk(b"iCCP", b"a\0\0" + bomb))
    yield "png-many-chunks", png(8, 8, rows=(b"\0" + b"\1" * 24) * 8, more=chunk(b"tEXt", b"a\0b") * 20000)
    yield "png-interlaced-bomb", png(8000, 8000, 1, 0).replace(b"\0\0\0\0\0", b"\0\0\0\0\1", 1)
    yield "png-bomb-in-limits", png(9999, 9999, 1, 0, b"\0" * (1251 * 9999))


def jpeg_sizes(data, w, h):
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        at = data.find(marker)
        if at > 0:
            return patched(data, at + 5, struct.pack(">HH", h, w))
    raise ValueError("no frame")


def jpeg_lies(good):
    for kind in ("jpeg", "progressive"):
        for w, h in ((65500, 65500), (65535, 1), (0, 64), (96, 0), (9000, 9000), (97, 65)):
            yield f"{kind}-claims-{w}x{h}", jpeg_sizes(good[kind], w, h)
    data = good["jpeg"]
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHII", 1, 0x0112, 3, 0xffffffff, 0x7fffffff) + b"\0\0\0\0"
    loop = b"Exif\0\0II*\0" + struct.pack("<IHHHII", 8, 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    for name, block in (("exif-lie", exif), ("exif-loop", loop), ("exif-empty", b"Exif\0\0"), ("icc-lie", b"ICC_PROFILE\0\x01\xff" + b"x" * 200),
                        ("icc-zero", b"ICC_PROFILE\0\0\0")):
        marker = b"\xff\xe2" if name.startswith("icc") else b"\xff\xe1"
        yield f"jpeg-{name}", data[:2] + marker + struct.pack(">H", len(block) + 2) + block + data[2:]
    yield "jpeg-segment-flood", data[:2] + (b"\xff\xfe\0\x04ab" * 50000) + data[2:]
    scans = good["progressive"]
    at = scans.rfind(b"\xff\xda")
    yield "jpeg-scan-flood", scans[:at] + scans[at:-2] * 2000 + b"\xff\xd9"
    yield "jpeg-no-tables", data[:2] + data[data.find(b"\xff\xc0"):]
    yield "jpeg-header-only", data[:2] + b"\xff\xd9"
    yield "jpeg-segment-of-1", data[:2] + b"\xff\xe0\0\1" + data[2:]


def gif_lies(good):
    data = good["gif"]
    yield "gif-screen-65535", b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";"
    yield "gif-frame-outside", b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\xff\x7f\xff\x7f\1\0\1\0\0\2\2D\1\0;"
    yield "gif-frame-65535", b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;"
    yield "gif-zero", b"GIF89a\0\0\0\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\0\0\0\0\0\2\2D\1\0;"
    frame = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    for n in (501, 20000):
        yield f"gif-frames-{n}", b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * n + b";"
    yield "gif-big-canvas-many-frames", b"GIF89a\x10\x27\x10\x27\x80\0\0\0\0\0\xff\xff\xff" + frame * 400 + b";"
    yield "gif-extension-flood", data[:13] + b"!\xfe\1a\0" * 100000 + data[13:]
    yield "gif-bad-code-size", b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\xff\2D\1\0;"


def webp_lies(good):
    yield "webp-lossless-16383", b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f\0\0\0\0\0"
    yield "webp-riff-longer", patched(good["webp"], 4, struct.pack("<I", 2**31))
    yield "webp-riff-short", patched(good["webp"], 4, struct.pack("<I", 12))
    yield "webp-chunk-4g", patched(good["webp"], 16, struct.pack("<I", 2**32 - 1))
    canvas = b"VP8X\x0a\0\0\0\x02\0\0\0" + b"\xff\xff\xff" * 2
    yield "webp-canvas-16m", b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    canvas = b"VP8X\x0a\0\0\0\0\0\0\0" + struct.pack("<I", 9999)[:3] * 2
    body = canvas + good["webp"][12:]
    yield "webp-canvas-lie", b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    anim = b"VP8X\x0a\0\0\0\x02\0\0\0" + struct.pack("<I", 4999)[:3] * 2 + b"ANIM\x06\0\0\0\0\0\0\0\0\0"
    image = good["webp"][12:]
    frame = b"ANMF" + struct.pack("<I", 16 + len(image)) + b"\0" * 6 + struct.pack("<I", 95)[:3] + struct.pack("<I", 63)[:3] + b"\1\0\0\0" + image
    yield "webp-frames-over-pixels", b"RIFF" + struct.pack("<I", 4 + len(anim) + 40 * len(frame)) + b"WEBP" + anim + frame * 40


def tiff(tags, data=b"", next_at=0):
    body = struct.pack("<H", len(tags))
    for tag, kind, count, value in tags:
        body += struct.pack("<HHII", tag, kind, count, value)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", next_at) + data


def tiff_lies(good):
    def plain(w, h, rows=None, count=1):
        at = 8 + 2 + 9 * 12 + 4
        return [(256, 4, 1, w), (257, 4, 1, h), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, count, at), (277, 3, 1, 1),
                (278, 4, 1, rows or h), (279, 4, count, 100)]
    yield "tiff-50000", tiff(plain(50000, 50000), b"\0" * 100)
    yield "tiff-in-limits", tiff(plain(9000, 9000), b"\0" * 100)
    yield "tiff-zero", tiff(plain(0, 10), b"\0" * 100)
    yield "tiff-loop", tiff(plain(10, 10), b"\0" * 100, 8)
    yield "tiff-next-outside", tiff(plain(10, 10), b"\0" * 100, 2**31)
    yield "tiff-count-4g", tiff(plain(10, 10, 1, 2**32 - 1), b"\0" * 100)
    yield "tiff-count-2m", tiff(plain(10, 10, 1, 2**21), b"\0" * 100)
    yield "tiff-no-tags", b"II*\0\x08\0\0\0\0\0\0\0\0\0"
    yield "tiff-directory-outside", b"MM\0*\x7f\xff\xff\xff"
    yield "tiff-bits-64", tiff([(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 64), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 122), (277, 3, 1, 1),
                                (278, 4, 1, 8), (279, 4, 1, 64)], b"\0" * 100)
    for scheme in (2, 3, 4, 5, 6, 7, 34712, 50000, 65000):
        tags = plain(64, 64)
        tags[3] = (259, 3, 1, scheme)
        yield f"tiff-compression-{scheme}", tiff(tags, bytes(random.Random(scheme).randrange(256) for _ in range(100)))
    yield "tiff-samples-60000", tiff([t if t[0] != 277 else (277, 3, 1, 60000) for t in plain(8, 8)], b"\0" * 100)


def avif_lies(good):
    data = good["avif"]
    at = data.find(b"ispe")
    for w, h in ((2**31, 2**31), (16385, 16385), (0, 0), (9000, 9000), (95, 63)):
        yield f"avif-claims-{w}x{h}", patched(data, at + 8, struct.pack(">II", w, h))
    for name, length in (("0", 0), ("7", 7), ("4g", 2**32 - 1)):
        yield f"avif-meta-{name}", patched(data, data.find(b"meta") - 4, struct.pack(">I", length))
    at = data.find(b"iloc")
    yield "avif-iloc-damage", patched(data, at + 8, b"\xff" * 12)
    yield "avif-nested", data[:24] + struct.pack(">I", 8) + b"meta" + (struct.pack(">I", 16) + b"iprp" + struct.pack(">I", 8) + b"ipco") * 200
    yield "heic-empty", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    yield "heic-brand-on-avif", data.replace(b"ftypavif", b"ftypheic").replace(b"avif", b"heic", 1)


# --- what is no picture, or two things at once

def strangers(good):
    yield "empty-ish", b"\0"
    yield "zeroes", b"\0" * 100000
    yield "ones", b"\xff" * 100000
    yield "text", b"hello, world\n" * 100
    yield "mvg", b"push graphic-context\nviewbox 0 0 640 480\nimage over 0,0 0,0 'https://127.0.0.1/x.jpg'\npop graphic-context"
    yield "msl", b'<?xml version="1.0"?><image><read filename="/etc/passwd"/></image>'
    yield "postscript", b"%!PS\n(%pipe%id) (w) file"
    yield "pdf", b"%PDF-1.7\n" + b"0" * 1000
    yield "pdf-then-jpeg", b"%PDF-1.7\n" + good["jpeg"]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        z.writestr("a", "b")
    yield "zip", buffer.getvalue()
    yield "png-then-zip", good["png"] + buffer.getvalue()
    yield "gif-js", b"GIF89a/*" + b"*/=1;alert(1)//" + b"\0" * 100
    yield "jpeg-php", good["jpeg"][:2] + b"\xff\xfe\0\x1a<?php system($_GET[0]);?>" + good["jpeg"][2:]
    yield "bmp", b"BM" + b"\0" * 100
    yield "ico", b"\0\0\1\0\1\0" + b"\x10" * 100
    yield "psd", b"8BPS\0\1" + b"\0" * 100
    yield "exr", b"\x76\x2f\x31\x01" + b"\0" * 100
    yield "hdr", b"#?RADIANCE\n\n-Y 60000 +X 60000\n"
    yield "fits", b"SIMPLE  =                    T" + b" " * 3000
    yield "ppm", b"P6 60000 60000 255\n"
    yield "vips", b"\x08\x99\x22\xb6" + b"\0" * 100
    yield "matrix", b"10 10\n" + b"1 " * 100
    yield "csv", b"1,2,3\n" * 100
    yield "jxl", b"\xff\x0a" + b"\0" * 100
    yield "jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 100
    yield "mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 100
    yield "riff-wav", b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 100
    yield "bigtiff", b"II+\0\x08\0\0\0" + b"\0" * 100


# --- SVG: refused altogether, or looked at, where the operator allows it

SVG_NS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def svg(inside="", size='width="60" height="40"', before="", more=""):
    return f"{before}<svg {SVG_NS} {size} {more}>{inside}</svg>".encode()


def data_url(data, kind="image/png"):
    return f"data:{kind};base64," + base64.b64encode(data).decode()


def entities(*values):
    return "<!DOCTYPE svg [" + "".join(f'<!ENTITY {chr(97 + i)} "{v}">' for i, v in enumerate(values)) + "]>"


def svg_lies(good):
    """What must not grow, not read anything, and not take the renderer down."""
    nested = svg('<linearGradient id="a"><stop stop-color="red"/></linearGradient>')
    laughs = ["ha"] + [f"&{chr(97 + i)};" * 10 for i in range(9)]
    yield "svg-billion-laughs", svg("<text>&j;</text>", before=entities(*laughs))
    yield "svg-quadratic", svg("<text>" + "&a;" * 20000 + "</text>", before=entities("A" * 100000))
    yield "svg-quadratic-attribute", svg('<g class="' + "&a;" * 20000 + '"/>', before=entities("A" * 100000))
    yield "svg-xxe", svg("<text>&x;</text>", before='<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>')
    yield "svg-xxe-parameter", svg("<text>&x;</text>", before='<!DOCTYPE svg [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]>')
    yield "svg-external-dtd", svg("<text>&x;</text>", before='<!DOCTYPE svg SYSTEM "file:///etc/passwd">')
    yield "svg-markup-in-entity", svg("&a;", before=entities("&#60;image href='file:///etc/passwd'/>"))
    yield "svg-xinclude", svg('<text><xi:include href="/etc/passwd" parse="text"/></text>', more='xmlns:xi="http://www.w3.org/2001/XInclude"')
    yield "svg-default-attribute", svg("<rect/>", before=f'<!DOCTYPE svg [<!ATTLIST rect style CDATA "fill:url({data_url(nested, "image/svg+xml")}#a)">]>')
    yield "svg-utf-16", svg().decode().encode("utf-16")
    yield "svg-utf-7", svg(before='<?xml version="1.0" encoding="UTF-7"?>')
    yield "svgz", gzip.compress(svg())
    yield "svgz-truncated", gzip.compress(b"<svg " + b" " * 5000)[:185]
    yield "svg-embeds-claim", svg(f'<image href="{data_url(png(50000, 50000))}"/>')
    yield "svg-embeds-bomb", svg(f'<image width="9" height="9" href="{data_url(png(30000, 30000, 1, 0, bytes(3751 * 30000)))}"/>')
    yield "svg-embeds-many", svg(f'<image width="9" height="9" href="{data_url(png(9999, 9999, 1, 0, bytes(1251 * 9999)))}"/>' * 4)
    yield "svg-embeds-hidden", svg(f'<image href="&#100;a&#10;ta:;base64,{base64.b64encode(png(50000, 50000)).decode()}"/>')
    yield "svg-embeds-broken", svg(f'<image href="{data_url(good["jpeg"][:500], "image/jpeg")}"/>')
    yield "svg-embeds-svg", svg(f'<image width="9" height="9" href="{data_url(nested, "image/svg+xml")}"/>')
    yield "svg-fills-with-svg", svg(f'<rect width="9" height="9" fill="url({data_url(nested, "image/svg+xml")}#a)"/>')
    yield "svg-deep", svg("<g>" * 100000 + "</g>" * 100000)
    yield "svg-uses", svg('<defs><rect id="a0" width="1" height="1"/>' + "".join(
        f'<g id="a{i}">' + f'<use href="#a{i - 1}"/>' * 10 + "</g>" for i in range(1, 10)) + '</defs><use href="#a9"/>')
    yield "svg-uses-itself", svg('<g id="a"><use href="#a"/></g><pattern id="p"><rect fill="url(#p)" width="9" height="9"/></pattern><rect fill="url(#p)" width="9" height="9"/>')
    yield "svg-filters", svg('<filter id="f" x="-1000%" y="-1000%" width="10000%" height="10000%">' + '<feGaussianBlur stdDeviation="200"/>' * 50
                             + '</filter><rect filter="url(#f)" width="2000" height="2000"/>', 'width="2000" height="2000"')
    yield "svg-turbulence", svg('<filter id="f"><feTurbulence numOctaves="1000000" baseFrequency="0.05"/></filter><rect filter="url(#f)" width="999" height="999"/>',
                                'width="999" height="999"')
    for name, side in (("1e7", "1e7"), ("1e300", "1e300"), ("miles", "99999in"), ("tiny", "0.001"), ("zero", "0"), ("negative", "-5"), ("nan", "nan"), ("empty", "")):
        yield f"svg-side-{name}", svg('<rect width="5" height="5"/>', f'width="{side}" height="{side}"')
    for name, side in (("70000", "70000px"), ("1e12", "1e12px")):
        yield f"svg-style-{name}", svg('<rect width="5" height="5"/>', f'style="width:{side};height:{side}"')
    yield "svg-box-1e9", svg('<rect width="5" height="5"/>', 'viewBox="0 0 1e9 1e9"')
    yield "svg-ink-1e9", svg('<rect width="1e9" height="1e9"/>', "")
    yield "svg-nothing", svg("", "")
    yield "svg-pattern", svg('<pattern id="p" width="1e5" height="1e5" patternUnits="userSpaceOnUse"><rect width="1e5" height="1e5"/></pattern><rect width="60" height="40" fill="url(#p)"/>')
    yield "svg-letter-1e9", svg('<text y="9" font-size="1e9">A</text>')
    yield "svg-dashes", svg('<path d="M0 0L1e9 1e9" stroke="red" stroke-dasharray="0.0001"/>')
    yield "svg-script", svg('<script>alert(1)</script><foreignObject><iframe src="file:///etc/passwd"/></foreignObject>', more='onload="alert(1)"')
    yield "svg-nul", svg("\0")
    yield "svg-cut", svg('<rect width="5"')[:-8]
    yield "svg-then-png", svg() + good["png"]
    yield "svg-no-namespace", b'<svg width="9" height="9"><rect/></svg>'
    yield "svg-long-attribute", svg(f'<path d="{"M0 0L9 9" * 200000}"/>')
    whole = svg('<rect x="1" y="2" width="30" height="20" fill="#f00"/><text y="9">a</text>', before="<?xml version='1.0'?><!-- a -->")
    for seed in range(12):
        dice, bad = random.Random(seed), bytearray(whole)
        for _ in range(1 << seed % 4):
            bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
        yield f"svg-flipped-{seed}", bytes(bad)


FAMILIES = (truncations, flips, additions, png_lies, jpeg_lies, gif_lies, webp_lies, tiff_lies, avif_lies, svg_lies, strangers)


def attacks(*families):
    good, out = samples(), {}
    for family in families or FAMILIES:
        for name, data in family(good):
            if name in out:
                raise ValueError(f"two attacks are called {name}")
            out[name] = data
    return out
