"""Services that only a shared demo needs: its visitors, their limits, and the GPU that they take turns on."""
