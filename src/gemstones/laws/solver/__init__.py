"""The solver of laws: numerics alone, ignorant of tables, columns and names."""
