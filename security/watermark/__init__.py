"""A keyed mark in a model's weights that its owner can show and nobody else can find.

Spread spectrum (Uchida et al., 2017, in the line of Cox et al., 1997): a key gives a sign for every weight; the weights
are moved a little towards their signs. Over all of them the correlation says whose key it is, with a bound on chance that
holds for any weights whatever (`detecting.py`).
"""
