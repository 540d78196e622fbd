/** A statement with parameters, and their values. */
export interface QueryShape {
  readonly text: string;
  readonly values: readonly (number | string)[];
}

const shape = (text: string, ...values: readonly (number | string)[]): QueryShape => ({ text, values });

/** What applications ask of a table: each where an index on `customer_id` may be of use, or where rewriting may go wrong. */
export const shapes: readonly QueryShape[] = [
  shape("select * from orders where customer_id = $1", 7),
  shape("select id from orders where customer_id = $1 and status = $2", 7, "paid"),
  shape("select id from orders where customer_id = $1 or customer_id = $2", 7, 9),
  shape("select id from orders where customer_id = $1 or id = $2", 7, 9),
  shape("select id from orders where (customer_id = $1 or id = $2) and status <> $3", 7, 9, "gone"),
  shape("select id from orders where customer_id in ($1, $2, $3)", 7, 8, 9),
  shape("select id from orders where customer_id = any (array[$1::int, $2::int])", 7, 8),
  shape("select id from orders where customer_id between $1 and $2", 7, 9),
  shape("select id from orders where customer_id > $1 and customer_id <= $2", 411, 415),
  shape("select id from orders where customer_id is null and id > $1", 0),
  shape("select id from orders where customer_id is null or customer_id = $1", 7),
  shape("select id from orders where not (customer_id <> $1)", 7),
  shape("select id from orders where customer_id is not distinct from $1", 7),
  shape("select id from orders where (customer_id, status) = ($1, $2)", 7, "paid"),
  shape("select customer_id from orders where customer_id < $1 order by customer_id, id", 5),
  shape("select customer_id, id from orders order by customer_id desc nulls last, id limit $1", 20),
  shape("select id from orders where customer_id > $1 order by customer_id, id limit 10 offset 3", 100),
  shape("select id from orders where customer_id = $1 fetch first 100 rows only", 7),
  shape("select count(*) from orders where customer_id = $1", 7),
  shape("select count(customer_id) from orders where customer_id < $1", 30),
  shape("select max(customer_id), min(customer_id) from orders where id > $1", 0),
  shape("select max(customer_id) from orders where customer_id < $1", 200),
  shape("select customer_id, count(*) from orders where customer_id < $1 group by customer_id having count(*) > 1", 9),
  shape("select distinct customer_id from orders where customer_id < $1", 9),
  shape(
    "select distinct on (customer_id) customer_id, id from orders where customer_id < $1 order by customer_id, id",
    9,
  ),
  shape(
    "select customer_id, row_number() over (partition by customer_id order by id) from orders where customer_id < $1",
    5,
  ),
  shape("select sum(total) over w from orders where customer_id = $1 window w as (order by id)", 7),
  shape("select status, sum(total) from orders where customer_id = $1 group by rollup (status)", 7),
  shape("select o.id, c.name from orders o join customers c on c.id = o.customer_id where c.id = $1", 7),
  shape(
    "select o.id, c.name from customers c join orders o on o.customer_id = c.id where c.region = $1 and c.id < 20",
    3,
  ),
  shape("select o.id, c.name from orders o, customers c where o.customer_id = c.id and c.name = $1", "customer 7"),
  shape("select c.id, o.id from customers c left join orders o on o.customer_id = c.id where c.id = $1", 7),
  shape(
    "select c.id, o.id from customers c left join orders o on o.customer_id = c.id and o.status = 'new' or o.id = -1 where c.id < $1",
    9,
  ),
  shape("select c.id from customers c left join orders o on o.customer_id = c.id where o.id is null and c.id > $1", 0),
  shape("select o.id, c.id from orders o right join customers c on c.id = o.customer_id where c.id < $1", 6),
  shape(
    "select o.id, c.name from orders o left join customers c on c.id = o.customer_id where o.customer_id = $1",
    405,
  ),
  shape(
    "select c.id, x.total from customers c left join (orders o join items i on i.order_id = o.id) x on x.customer_id = c.id where c.id = $1",
    7,
  ),
  shape(
    "select c.id, o.id, i.id from customers c left join (orders o join items i on i.order_id = o.id) on o.customer_id = c.id where c.id = $1",
    7,
  ),
  shape(
    "select o.id, i.quantity from orders o join items i on i.order_id = o.id left join products p on p.id = i.product_id where o.customer_id = $1",
    7,
  ),
  shape(
    "select a.id, b.id from orders a join orders b on b.customer_id = a.customer_id and b.id > a.id where a.customer_id = $1",
    7,
  ),
  shape("select a.id, b.id from orders a left join orders b on b.parent = a.id where a.customer_id = $1", 7),
  shape("select o.id from orders o cross join (values (1), (2)) v (n) where o.customer_id = v.n + $1", 7),
  shape(
    "select c.id, l.id from customers c cross join lateral (select id from orders where customer_id = c.id order by id limit 2) l where c.id < $1",
    9,
  ),
  shape(
    "select c.id, l.n from customers c left join lateral (select count(*) as n from orders o where o.customer_id = c.id) l on true where c.id < $1",
    9,
  ),
  shape("select id from customers c where exists (select from orders o where o.customer_id = c.id) and c.id < $1", 30),
  shape(
    "select id from customers c where not exists (select 1 from orders o where o.customer_id = c.id) and c.id > $1",
    0,
  ),
  shape("select id from customers where id in (select customer_id from orders where customer_id < $1)", 9),
  shape(
    "select id from customers where id not in (select customer_id from orders where customer_id is not null and customer_id > $1)",
    9,
  ),
  shape("select name, (select count(*) from orders o where o.customer_id = c.id) from customers c where c.id < $1", 9),
  shape(
    "select name, array(select o.id from orders o where o.customer_id = c.id order by o.id) from customers c where c.id < $1",
    5,
  ),
  shape("select * from (select customer_id, total from orders) s where s.customer_id = $1", 7),
  shape("select * from (select customer_id, count(*) from orders group by customer_id) s where s.customer_id = $1", 7),
  shape("with o as (select * from orders where customer_id = $1) select count(*) from o", 7),
  shape(
    "with o as materialized (select * from orders where customer_id = $1) select count(*) from o join items i on i.order_id = o.id",
    7,
  ),
  shape(
    "with recursive r as (select id, parent from orders where customer_id = $1 union select p.id, p.parent from orders p join r on p.id = r.parent) select count(*) from r",
    7,
  ),
  shape("select id from orders where customer_id = $1 union select id from archive.orders where customer_id = $1", 7),
  shape("select id from orders where customer_id = $1 except select id from orders where status = $2", 7, "new"),
  shape(
    "(select id from orders where customer_id = $1 order by id limit 2) union all (select id from orders where customer_id = $2 order by id desc limit 2)",
    7,
    8,
  ),
  shape("select id from orders where customer_id = $1 for update", 7),
  shape("select id from orders o where o.customer_id = $1 order by id for no key update of o skip locked", 7),
  shape("select case when exists (select from orders where customer_id = $1) then 'yes' else 'no' end", 7),
  shape("select coalesce((select max(id) from orders where customer_id = $1), -1)", 7),
  shape("select id from orders where customer_id = (select max(id) from customers where region = $1)", 3),
  shape(
    "select id from public.orders where customer_id = $1 and total > all (select total from archive.orders where customer_id = 1000)",
    7,
  ),
  shape("select o.id from only orders as o where o.customer_id = $1 and o.tags && array[1]", 7),
  shape("select id from recent where customer_id = $1", 7),
  shape("select id from orders_of($1)", 7),
  shape("select o.id, c.id from orders o full join customers c on c.id = o.customer_id where o.customer_id = $1", 7),
  shape("update orders set note = 'x' where customer_id = $1 returning id, note", 7),
  shape(
    "update orders o set note = c.name from customers c where c.id = o.customer_id and c.id = $1 returning o.id, o.note",
    7,
  ),
  shape(
    "update customers c set name = name || '!' where exists (select from orders o where o.customer_id = c.id and o.customer_id < $1) returning id",
    4,
  ),
  shape("delete from orders where customer_id = $1 returning id", 7),
  shape("delete from items i using orders o where o.id = i.order_id and o.customer_id = $1 returning i.id", 7),
  shape("insert into archive.orders select * from orders where customer_id = $1 returning id", 7),
  shape(
    "with gone as (delete from orders where customer_id = $1 returning *) select count(*), sum(total) from gone",
    7,
  ),
  shape(
    "merge into orders o using customers c on o.customer_id = c.id and c.id = $1 when matched then update set note = c.name",
    7,
  ),
  shape(
    "merge into archive.orders a using (select * from orders where customer_id = $1) o on a.id = o.id when matched then delete when not matched then insert values (o.id, o.customer_id, o.parent, o.status, o.total, o.created_at, o.note, o.tags)",
    7,
  ),
];
