/** Where everything of Plumbline is. Atomic, because ClickHouse's default database in process is not. */
export const DATABASE = 'plumbline';
