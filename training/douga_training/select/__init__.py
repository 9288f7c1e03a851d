"""What a studio should label next: varied frames, then the least and the most certain ones (Kugler, 4.1)."""
