"""The server: takes frames by gRPC and gives their douga back."""

import os

from douga.image_header import MAX_PIXELS

# OpenCV reads this once, while it is imported. A second fence only: png.py looks at every PNG before it.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
