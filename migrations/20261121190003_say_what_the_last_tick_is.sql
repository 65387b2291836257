-- A tick makes no job where one waits or is suspended.

comment on column periodic.last_tick is
  'The last tick that was taken, whether or not it made a job; at first when it was added. A tick is taken by raising it.';
