"""Who does the work behind the front: `local` in threads of this process, `ray` on a farm."""
