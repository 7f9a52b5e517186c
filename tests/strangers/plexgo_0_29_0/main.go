// plexgo 0.29.0 as its users call it.
//
// One JSON request a line comes in, one JSON outcome a line goes out; `how` is `security` (WithSecurity) or
// `security_source` (WithSecuritySource). Without `plex_tv` the SDK asks Plex's own addresses.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"

	"github.com/LukeHagar/plexgo"
	"github.com/LukeHagar/plexgo/models/components"
	"github.com/LukeHagar/plexgo/models/operations"
	"github.com/LukeHagar/plexgo/models/sdkerrors"
)

const identifier = "stranger-plexgo-0-29-0"

type ask struct {
	Call             string  `json:"call"`
	How              string  `json:"how"`
	PlexTV           *string `json:"plex_tv"`
	Server           string  `json:"server"`
	Token            string  `json:"token"`
	Login            string  `json:"login"`
	Password         string  `json:"password"`
	VerificationCode *string `json:"verification_code"`
	RememberMe       *bool   `json:"remember_me"`
	Source           string  `json:"source"`
	HTTPS            bool    `json:"https"`
}

type outcome map[string]any

func made(a ask) *plexgo.PlexAPI {
	options := []plexgo.SDKOption{
		plexgo.WithClientIdentifier(identifier),
		plexgo.WithProduct("Stranger"),
	}
	if a.Server != "" {
		options = append(options, plexgo.WithServerURL(a.Server))
	}
	switch {
	case a.Token == "":
	case a.How == "security":
		options = append(options, plexgo.WithSecurity(a.Token))
	default:
		source := func(context.Context) (components.Security, error) {
			return components.Security{Token: &a.Token}, nil
		}
		options = append(options, plexgo.WithSecuritySource(source))
	}
	return plexgo.New(options...)
}

// The options of one call to plex.tv.
func opts(a ask) []operations.Option {
	if a.PlexTV == nil {
		return nil
	}
	return []operations.Option{operations.WithServerURL(*a.PlexTV + "/api/v2")}
}

// What a user of the SDK finds in its result, with the status.
func called(a ask) (int, outcome, error) {
	ctx, s := context.Background(), made(a)
	switch a.Call {
	case "sign_in":
		res, err := s.Authentication.PostUsersSignInData(ctx, operations.PostUsersSignInDataRequest{
			RequestBody: &operations.PostUsersSignInDataRequestBody{
				Login:            a.Login,
				Password:         a.Password,
				RememberMe:       a.RememberMe,
				VerificationCode: a.VerificationCode,
			},
		}, opts(a)...)
		if err != nil || res.UserPlexAccount == nil {
			return 0, nil, err
		}
		found := res.UserPlexAccount
		return res.StatusCode, account(found.ID, found.Username, found.Email, found.AuthToken), nil
	case "token_details":
		res, err := s.Authentication.GetTokenDetails(ctx, operations.GetTokenDetailsRequest{}, opts(a)...)
		if err != nil || res.UserPlexAccount == nil {
			return 0, nil, err
		}
		found := res.UserPlexAccount
		return res.StatusCode, account(found.ID, found.Username, found.Email, found.AuthToken), nil
	case "resources":
		var request operations.GetServerResourcesRequest
		if a.HTTPS {
			request.IncludeHTTPS = operations.IncludeHTTPSTrue.ToPointer()
		}
		res, err := s.Plex.GetServerResources(ctx, request, opts(a)...)
		if err != nil {
			return 0, nil, err
		}
		return res.StatusCode, resources(res.PlexDevices), nil
	case "transient_token":
		res, err := s.General.CreateTransientToken(ctx, operations.CreateTransientTokenRequest{
			MediaType: operations.QueryParamTypeDelegation,
			Scope:     operations.ScopeAll,
		})
		if err != nil {
			return 0, nil, err
		}
		return res.StatusCode, outcome{"token": res.Object.MediaContainer.Token}, nil
	case "source":
		res, err := s.General.GetSourceConnectionInformation(ctx, operations.GetSourceConnectionInformationRequest{
			Source: a.Source,
		})
		if err != nil {
			return 0, nil, err
		}
		return res.StatusCode, source(res.Object.MediaContainer.Device), nil
	}
	return 0, nil, errors.New("no such call: " + a.Call)
}

func account(id int, username, email, token string) outcome {
	return outcome{"id": id, "username": username, "email": email, "token": token}
}

func resources(devices []components.PlexDevice) outcome {
	servers, addresses := map[string]string{}, map[string][]string{}
	for _, one := range devices {
		servers[one.Name] = one.AccessToken
		for _, connection := range one.Connections {
			addresses[one.Name] = append(addresses[one.Name], connection.URI)
		}
	}
	return outcome{"servers": servers, "addresses": addresses}
}

func source(device *components.ConnectionInfo) outcome {
	var uris []*string
	for _, connection := range device.Connection {
		uris = append(uris, connection.URI)
	}
	return outcome{
		"name":              device.Name,
		"client_identifier": device.ClientIdentifier,
		"token":             device.AccessToken,
		"connections":       uris,
	}
}

// The name of an error's type, and what it holds. A typed error's text is the refusal in JSON.
func refused(err error) outcome {
	name := strings.TrimPrefix(reflect.TypeOf(err).String(), "*sdkerrors.")
	var sdkError *sdkerrors.SDKError
	if errors.As(err, &sdkError) {
		return outcome{"raised": name, "status": sdkError.StatusCode, "body": sdkError.Body, "codes": []int{}}
	}
	var typed struct {
		Errors []struct {
			Code   int `json:"code"`
			Status int `json:"status"`
		} `json:"errors"`
	}
	if json.Unmarshal([]byte(err.Error()), &typed) != nil || len(typed.Errors) == 0 {
		return outcome{"raised": name, "message": err.Error()}
	}
	codes := []int{}
	for _, one := range typed.Errors {
		codes = append(codes, one.Code)
	}
	return outcome{"raised": name, "status": typed.Errors[0].Status, "body": err.Error(), "codes": codes}
}

func main() {
	lines, outcomes := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var a ask
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			panic(err)
		}
		answer := outcome{}
		if status, result, err := called(a); err != nil {
			answer = refused(err)
		} else {
			answer = outcome{"status": status, "result": result}
		}
		if err := outcomes.Encode(answer); err != nil {
			panic(err)
		}
	}
}
