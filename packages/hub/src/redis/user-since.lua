-- Reads since when a user has been there.
-- asked: userId
-- answer: ms since 1970, as text; nothing where he is not
local stay = read_stay(place_of(EVERYWHERE, ask.userId))
return stay and ms(stay.t) or false
