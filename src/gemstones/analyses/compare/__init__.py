"""Is recipe B better than A at scale, and how surely?"""
