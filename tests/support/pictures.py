"""Pictures made byte by byte, and what an independent program says of a picture."""

import re
import struct
import subprocess
import zlib


def header(path):
    """(width, height, format) as Debian's own libvips reads the file."""
    said = subprocess.run(["vipsheader", "-a", str(path)], capture_output=True, text=True, check=True).stdout
    fields = dict(re.findall(r"^([\w-]+): (.*)$", said, re.M))
    names = {"jpegload": "jpeg", "pngload": "png", "webpload": "webp", "heifload": "avif", "gifload": "gif"}
    if fields.get("heif-compression", "av1") != "av1":
        return None
    return int(fields["width"]), int(fields["height"]), names.get(fields["vips-loader"], fields["vips-loader"])


RGB, RGBA = 2, 6


def png(width, height, pixels=None, kind=RGB):
    """A PNG of that size; without pixels only its claim to be one: the data is missing."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = zlib.compress(pixels if pixels is not None else b"")
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
            + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def plain_png(width, height, rgb=(200, 30, 60)):
    return png(width, height, (b"\0" + bytes(rgb) * width) * height)


def turned(jpeg, orientation):
    """The JPEG with an EXIF block that says how it is to be turned."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def gif(frames=3, side=40):
    """An animated GIF by hand: each frame one colour, 2 bits a pixel, LZW without compression."""
    def lzw(index, n):
        bits, out = [], bytearray([2])
        for i in range(n):
            if i % 2 == 0:
                bits += [0, 0, 1]  # clear: the code stays at 3 bits
            bits += [index >> k & 1 for k in range(3)]
        bits += [1, 0, 1]
        data = bytearray(sum(b << k for k, b in enumerate(bits[i:i + 8])) for i in range(0, len(bits), 8))
        for i in range(0, len(data), 255):
            out += bytes([len(data[i:i + 255])]) + data[i:i + 255]
        return bytes(out) + b"\0"
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x91, 0, 0) + bytes([200, 0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0])
    body = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    for i in range(frames):
        body += b"!\xf9\x04\x04" + struct.pack("<H", 7) + b"\0\0" + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + lzw(i % 3, side * side)
    return head + body + b";"
