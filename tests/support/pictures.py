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


def png(width, height, pixels=None):
    """A PNG of that size; without pixels only its claim to be one: the data is missing."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = zlib.compress(pixels if pixels is not None else b"")
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def plain_png(width, height, rgb=(200, 30, 60)):
    return png(width, height, (b"\0" + bytes(rgb) * width) * height)


def turned(jpeg, orientation):
    """The JPEG with an EXIF block that says how it is to be turned."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]
