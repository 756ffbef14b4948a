"""The names of the two tables, and the statements that write rows."""

from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Identifier

from dedup.core.entity import Entity
from dedup.sink.columns import Column, columns_of


@dataclass(frozen=True)
class Tables:
    """The table of an entity's rows and that of the offsets, with their schema if one was given."""

    rows: str
    offsets: str
    columns: tuple[Column, ...]

    @property
    def id(self) -> Column:
        """Return the column of the id."""
        return self.columns[0]

    def composed(self, statement: SQL, **parts: Composable) -> Composed:
        """Return a statement with the quoted names `table`, `offsets` and `id`."""
        return statement.format(
            table=Identifier(*self.rows.split(".")),
            offsets=Identifier(*self.offsets.split(".")),
            id=Identifier(self.id.name),
            **parts,
        )

    def create(self) -> Composed:
        """Return the statement that creates the table of rows."""
        lines = [SQL("\n    ") + column.definition for column in self.columns]
        return self.composed(SQL("CREATE TABLE {table} ({lines}\n)"), lines=SQL(",").join(lines))

    def upsert(self) -> Composed:
        """Return the statement that writes rows; its parameters are arrays, one of each column."""
        names = [Identifier(column.name) for column in self.columns]
        return self.composed(
            SQL("""
INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})
ON CONFLICT ({id}) DO UPDATE SET ({others}) = ROW({new})"""),
            names=SQL(", ").join(names),
            arrays=SQL(", ").join(column.placeholder for column in self.columns),
            others=SQL(", ").join(names[1:]),
            new=SQL(", ").join(SQL("excluded.") + name for name in names[1:]),
        )

    def delete(self) -> Composed:
        """Return the statement that deletes rows; its parameter is an array of ids."""
        return self.composed(
            SQL("DELETE FROM {table} WHERE {id} = ANY({ids})"), ids=self.id.placeholder
        )


def tables_named(table: str, entity: Entity) -> Tables:
    """Return the tables of `POSTGRES_TABLE`."""
    return Tables(table, f"{table}_offsets", columns_of(entity))
