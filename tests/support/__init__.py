"""What tests share. Test files import from here and never from each other, so that each can be moved by itself."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
