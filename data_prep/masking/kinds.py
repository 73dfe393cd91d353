"""The kinds of personal data, and the word that takes their place."""

from enum import StrEnum

LANGUAGE = "ko"
"""The language under which Presidio knows our recognisers."""


class PersonalDataKind(StrEnum):
    """Value: the word in brackets that replaces the personal data in a text."""

    NAME = "이름"
    RESIDENT_NUMBER = "주민등록번호"
    FOREIGNER_NUMBER = "외국인등록번호"
    PASSPORT_NUMBER = "여권번호"
    DRIVER_LICENCE_NUMBER = "운전면허번호"
    BUSINESS_NUMBER = "사업자등록번호"
    PHONE_NUMBER = "전화번호"
    EMAIL = "이메일"
    CARD_NUMBER = "카드번호"
    ACCOUNT_NUMBER = "계좌번호"
    IP_ADDRESS = "IP주소"
    CAR_PLATE = "차량번호"

    @property
    def token(self) -> str:
        """What stands in the text instead."""
        return f"[{self.value}]"
