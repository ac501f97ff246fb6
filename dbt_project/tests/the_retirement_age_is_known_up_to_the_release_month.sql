-- The table ends with a month of birth for each sex; people born later would stay of working age.
select
    sex,
    max(retirement_month) as last_month
from {{ ref('retirement_age') }}
group by sex
having max(retirement_month) < {{ as_of_period() }}
